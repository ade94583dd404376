//! Which objects there are, and a signal when others come or go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crds::PmemVolume;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tokio::time::{sleep, timeout};

/// How often to look. The controller says nothing of an object that vanished.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The volumes of this node, for somebody who has to know when others come or go.
///
/// What counts is what its owner saw last: an object that came and went between two looks of somebody else would be missed.
pub(crate) struct Objects {
    store: Store<PmemVolume>,
    /// The names at the last look; none before they were listed.
    seen: Option<BTreeSet<String>>,
}

impl Objects {
    /// Nobody has looked yet.
    pub(crate) fn new(store: Store<PmemVolume>) -> Self {
        Self { store, seen: None }
    }

    /// The objects now; none if they were not listed yet.
    pub(crate) fn look(&mut self) -> Option<Vec<Arc<PmemVolume>>> {
        self.seen.as_ref()?;
        let objects = self.store.state();
        self.seen = Some(names(&objects));
        Some(objects)
    }

    /// Returns when there are other objects than at the last look, or when they were listed if they were not then. Never, if
    /// nobody lists them any more.
    pub(crate) async fn changed(&mut self) {
        if self.seen.is_none() {
            self.are_listed().await;
            self.seen = Some(BTreeSet::new());
            return;
        }
        while self.seen.as_ref() == Some(&names(&self.store.state())) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// The controller waits for the same, and of two that wait only the later one is woken (`DelayedInit` in kube-runtime 5.0
    /// keeps one waker), so this asks again and again.
    async fn are_listed(&self) {
        loop {
            match timeout(Duration::from_millis(50), self.store.wait_until_ready()).await {
                Ok(Ok(())) => return,
                Ok(Err(_nobody_lists)) => std::future::pending().await,
                Err(_time_is_up) => {}
            }
        }
    }
}

fn names(objects: &[Arc<PmemVolume>]) -> BTreeSet<String> {
    objects.iter().map(|object| object.name_any()).collect()
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use kube::runtime::watcher::Event;

    use super::*;

    fn volume(name: &str) -> PmemVolume {
        let spec = serde_json::json!({ "node": "n", "required": 1, "mode": "fsdax" });
        PmemVolume::new(name, serde_json::from_value(spec).unwrap())
    }

    /// kube's store wakes only one of those who wait for it.
    #[tokio::test]
    async fn is_not_kept_waiting_by_the_controller() {
        let (volumes, mut writer) = reflector::store::<PmemVolume>();
        let controller = tokio::spawn({
            let volumes = volumes.clone();
            async move { volumes.wait_until_ready().await.is_ok() }
        });
        let mut objects = Objects::new(volumes);
        assert!(objects.look().is_none());
        let waiting = tokio::spawn(async move {
            objects.changed().await;
            objects.look()
        });
        tokio::task::yield_now().await;
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        assert_eq!(waiting.await.unwrap().unwrap().len(), 0);
        controller.abort();
    }

    /// Found by the simulation: a report had it, and nobody was told that it went.
    #[tokio::test(start_paused = true)]
    async fn what_was_seen_once_and_went_is_told() {
        let (volumes, mut writer) = reflector::store::<PmemVolume>();
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let mut objects = Objects::new(volumes);
        objects.changed().await;
        objects.look();
        writer.apply_watcher_event(&Event::Apply(volume("v")));
        assert_eq!(objects.look().unwrap().len(), 1);
        writer.apply_watcher_event(&Event::Delete(volume("v")));
        objects.changed().await;
        assert_eq!(objects.look().unwrap().len(), 0);
        let again = tokio::time::timeout(Duration::from_secs(60), objects.changed()).await;
        assert!(again.is_err(), "nothing changed since");
    }
}
