//! Which objects there are: a signal when one comes or goes.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::PmemVolume;
use kube::ResourceExt;
use kube::runtime::reflector::Store;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The names of the volumes of this node; none until they were listed.
pub type Names = Option<BTreeSet<String>>;

/// How often to look. The controller says nothing of an object that vanished.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Notes in `names` which objects are in `store`, until `stop`.
pub(crate) async fn follow(store: Store<PmemVolume>, names: watch::Sender<Names>, stop: CancellationToken) {
    if stop.run_until_cancelled(are_listed(&store)).await != Some(true) {
        return;
    }
    while !stop.is_cancelled() {
        let now = Some(store.state().iter().map(|volume| volume.name_any()).collect());
        names.send_if_modified(|before| {
            let is_new = *before != now;
            *before = now;
            is_new
        });
        stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
    }
}

/// Waits until the volumes have been listed. False if nobody lists them any more.
///
/// The controller waits for the same, and of two that wait only the later one is woken (`DelayedInit` in kube-runtime 5.0 keeps
/// one waker), so this asks again and again.
async fn are_listed(volumes: &Store<PmemVolume>) -> bool {
    loop {
        if let Ok(ready) = timeout(Duration::from_millis(50), volumes.wait_until_ready()).await {
            return ready.is_ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;

    use super::*;

    /// kube's store wakes only one of those who wait for it.
    #[tokio::test]
    async fn is_not_kept_waiting_by_the_controller() {
        let (volumes, mut writer) = reflector::store::<PmemVolume>();
        let controller = tokio::spawn({
            let volumes = volumes.clone();
            async move { volumes.wait_until_ready().await.is_ok() }
        });
        let names = watch::Sender::new(None);
        let mut seen = names.subscribe();
        let stop = CancellationToken::new();
        let following = tokio::spawn(follow(volumes, names, stop.clone()));
        tokio::task::yield_now().await;
        writer.apply_watcher_event(&kube::runtime::watcher::Event::Init);
        writer.apply_watcher_event(&kube::runtime::watcher::Event::InitDone);
        let listed = seen.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(listed, Some(BTreeSet::new()));
        stop.cancel();
        following.await.unwrap();
        controller.abort();
    }
}
