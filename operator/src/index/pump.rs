//! Carries the events of one watch into the index.

use futures::{Stream, StreamExt, pin_mut};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource};
use tracing::warn;

use super::{IndexedKind, SharedIndex};

/// Watches `api` and keeps `index` up to date, for ever. After an error it tries again, with growing pauses; what is in
/// the index stays until a new list is complete.
pub async fn run<K: IndexedKind>(api: Api<K>, config: watcher::Config, index: SharedIndex) {
    let events = watch(api, config).default_backoff();
    feed(events, &index).await;
}

/// Carries `events` into the index until they end.
pub async fn feed<K: IndexedKind>(events: impl Stream<Item = watcher::Result<Event<K>>>, index: &SharedIndex) {
    pin_mut!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event.map(|event| event.modify(slim)) {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => listed.push(object),
            Ok(Event::InitDone) => index.update(|index| index.reset(std::mem::take(&mut listed))),
            Ok(Event::Apply(object)) => index.apply(object),
            Ok(Event::Delete(object)) => index.update(|index| index.delete(&object)),
            Err(error) => warn!(kind = %K::kind(&()), %error, "watch failed, trying again"),
        }
    }
}

/// Nobody here reads who set which field, and it can be most of an object.
fn slim<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}
