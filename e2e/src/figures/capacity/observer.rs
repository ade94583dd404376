//! What a watcher of the cluster has seen of each node, and when.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{Context, Result};
use futures::{StreamExt, pin_mut};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use kube::{Api, Resource};
use placement::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::figures::delays::now;
use crate::harness::wait::HANG_LIMIT;

/// A number of bytes of each node, and when that was first seen.
type Seen = BTreeMap<String, (Bytes, u64)>;

/// A watch on one kind of object, as long as this lives.
pub(super) struct Observer {
    seen: watch::Receiver<Seen>,
    _watch: JoinSet<()>,
}

impl Observer {
    /// Watches objects; `read` says which node an object is about, and its number of bytes.
    pub(super) fn of<K>(api: Api<K>, read: fn(&K) -> Option<(String, Bytes)>) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    {
        let (seen, receiver) = watch::channel(Seen::new());
        let mut task = JoinSet::new();
        task.spawn(note_all(api, read, seen));
        Self {
            seen: receiver,
            _watch: task,
        }
    }

    /// How many nodes have been seen.
    pub(super) fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    /// Waits until the number of `node` is `expected`, and returns when that was seen, in nanoseconds since 1970.
    pub(super) async fn wait_for(&self, node: &str, expected: Bytes) -> Result<u64> {
        let mut seen = self.seen.clone();
        let is_expected = |seen: &Seen| seen.get(node).is_some_and(|(bytes, _)| *bytes == expected);
        let shown = timeout(HANG_LIMIT, seen.wait_for(is_expected)).await;
        let shown = shown.with_context(|| format!("{node} does not show {expected} within {HANG_LIMIT:?}"))?;
        let shown = shown.context("the watch has ended")?;
        shown.get(node).map(|(_, at)| *at).context("the node is gone")
    }
}

async fn note_all<K>(api: Api<K>, read: fn(&K) -> Option<(String, Bytes)>, seen: watch::Sender<Seen>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let events = watch_objects(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let at = now();
                let Some((node, bytes)) = read(&object) else { continue };
                seen.send_if_modified(|seen| note(seen, node, bytes, at));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("a watch failed and is repeated: {error}"),
        }
    }
}

/// The same number again is no news, and keeps its time.
fn note(seen: &mut Seen, node: String, bytes: Bytes, at: u64) -> bool {
    if seen.get(&node).is_some_and(|(last, _)| *last == bytes) {
        return false;
    }
    seen.insert(node, (bytes, at));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_first_sight() {
        let mut seen = Seen::new();
        assert!(note(&mut seen, "a".into(), Bytes::mib(1), 10));
        assert!(!note(&mut seen, "a".into(), Bytes::mib(1), 20));
        assert_eq!(seen["a"], (Bytes::mib(1), 10));
        assert!(note(&mut seen, "a".into(), Bytes::mib(2), 30));
        assert_eq!(seen["a"], (Bytes::mib(2), 30));
    }
}
