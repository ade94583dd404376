//! Carries the events of one watch into an index: the only part here that waits.

use std::collections::HashSet;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::pin::pin;

use futures::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::ObjectKey;

/// An index that takes in objects of kind `K`. One index can take in several kinds.
pub trait Indexes<K> {
    /// The object is there, or has changed.
    fn apply(&mut self, object: &K);
    /// The object is gone.
    fn delete(&mut self, key: &ObjectKey);
    /// A list begins: what is applied next is as the cluster is, however new what the index has seemed. A cluster that was
    /// restored from a backup shows old versions again.
    fn begin_list(&mut self) {}
    /// A list is complete: what is not in it is gone. Before the first list is complete, that an object is not in the
    /// index means nothing.
    fn reset(&mut self, listed: &HashSet<ObjectKey>);
}

/// A handle on an index that the pumps write and others read.
pub trait SharedIndex: Send + Sync {
    /// What is behind the handle.
    type Index;
    /// Changes the index, and wakes those who wait for a change, if the handle offers that.
    fn update(&self, change: impl FnOnce(&mut Self::Index));
}

/// Watches `api` and keeps `index` true to the cluster, for ever. Large lists come in pages (`config`).
///
/// A watch that fails is started again, with growing pauses; meanwhile the index stays as it was.
pub async fn run<K, S>(api: Api<K>, config: Config, index: S)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    S: SharedIndex,
    S::Index: Indexes<K>,
{
    feed(watcher(api, config).default_backoff(), &index).await;
}

/// Carries `events` into `index` until they end.
pub async fn feed<K, S>(events: impl Stream<Item = watcher::Result<Event<K>>>, index: &S)
where
    K: Resource<DynamicType = ()>,
    S: SharedIndex,
    S::Index: Indexes<K>,
{
    let mut events = pin!(events);
    let mut pump = Pump::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => index.update(|index| pump.take(index, event)),
            Err(error) => {
                let (kind, error) = (K::kind(&()), &error as &dyn std::error::Error);
                tracing::warn!(%kind, error, "watch failed, trying again");
            }
        }
    }
}

/// Where a watch stands: what was listed so far, if a list is under way.
#[derive(Debug)]
pub struct Pump<K> {
    listed: HashSet<ObjectKey>,
    kind: PhantomData<fn(K)>,
}

impl<K> Default for Pump<K> {
    fn default() -> Self {
        Self {
            listed: HashSet::new(),
            kind: PhantomData,
        }
    }
}

impl<K: Resource> Pump<K> {
    /// Brings one event into the index, without the managed fields: nobody reads who set which field, and they can be
    /// most of an object.
    pub fn take(&mut self, index: &mut impl Indexes<K>, event: Event<K>) {
        match event.modify(|object| object.managed_fields_mut().clear()) {
            Event::Init => {
                self.listed.clear();
                index.begin_list();
            }
            Event::InitApply(object) => {
                self.listed.insert(ObjectKey::of(&object));
                index.apply(&object);
            }
            Event::InitDone => index.reset(&std::mem::take(&mut self.listed)),
            Event::Apply(object) => index.apply(&object),
            Event::Delete(object) => index.delete(&ObjectKey::of(&object)),
        }
    }
}

#[cfg(test)]
mod tests;
