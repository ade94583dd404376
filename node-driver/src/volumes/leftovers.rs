//! Namespaces that need no object: those that are to be erased, and those that were being made for a volume that is not
//! wanted any more.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::objects::Names;
use super::record::Record;
use super::retry::Backoff;
use super::worker::Worker;

/// Calls [`Worker::clear`] for each of them, whenever the devices or the objects change, until `stop`; then waits for what is
/// under way. What failed is repeated.
pub(crate) async fn run<R: Record>(
    worker: Arc<Worker<R>>,
    mut objects: watch::Receiver<Names>,
    stop: CancellationToken,
) {
    let mut listings = worker.layout.subscribe();
    let mut at_work = HashSet::new();
    let mut tasks = JoinSet::new();
    while !stop.is_cancelled() {
        let objects_known = objects.borrow_and_update().is_some();
        let listing = listings.borrow_and_update().listing.clone();
        let found = listing.map(|listing| worker.leftovers(&listing, objects_known));
        for volume in found.unwrap_or_default() {
            if at_work.insert(volume.clone()) {
                tasks.spawn(clear(Arc::clone(&worker), volume, stop.clone()));
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Ok(()) = listings.changed() => {}
            Ok(()) = objects.changed() => {}
            Some(done) = tasks.join_next() => match done {
                Ok(volume) => _ = at_work.remove(&volume),
                // Which one died is not known; each volume has a lock, so that none is worked on twice.
                Err(_) => at_work.clear(),
            },
            else => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Repeats until it succeeds, and returns the volume.
async fn clear<R: Record>(worker: Arc<Worker<R>>, volume: String, stop: CancellationToken) -> String {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        let Err(error) = worker.clear(&volume).await else {
            break;
        };
        let delay = backoff.next();
        tracing::warn!(
            volume,
            error = program::chain(&error),
            ?delay,
            "not erased; it will be repeated"
        );
        if stop.run_until_cancelled(sleep(delay)).await.is_none() {
            break;
        }
    }
    volume
}
