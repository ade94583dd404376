//! Namespaces that need no object: those that are to be erased, and those that were being made for a volume that is not
//! wanted any more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crds::PmemVolume;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::error::StepError;
use super::objects::Objects;
use super::plan::{LeftoverStep, next_leftover_step};
use super::record::Record;
use super::retry::Backoff;
use super::worker::{Worker, name};
use super::zero::pass::ZeroError;
use crate::devices::{Owner, Stage};
use crate::layout::Listing;

/// How often to ask the cluster whether another node has what was handed out here. Nothing tells this node when that comes to be.
const ASK_EVERY: Duration = Duration::from_secs(60);

impl<R: Record> Worker<R> {
    /// The ids of the volumes in `listing` that [`Worker::clear`] has something to do for: steps that `is_due` agrees to. Without
    /// `objects_known`, nobody can tell which are wanted.
    fn leftovers(&self, listing: &Listing, objects_known: bool, is_due: impl Fn(&LeftoverStep) -> bool) -> Vec<String> {
        let ids = listing
            .inventory
            .namespaces
            .iter()
            .filter_map(|found| match found.owner() {
                Owner::Ours(mark) => Some(mark.volume),
                Owner::Newer { .. } | Owner::Foreign => None,
            });
        ids.filter(|id| is_due(&self.plan_leftover(id, listing, objects_known)))
            .map(ToOwned::to_owned)
            .collect()
    }

    /// Erases and destroys the namespace of `volume`, if its mark says that nobody has data in it and no object wants it.
    ///
    /// # Errors
    /// A step failed: call it again later. [`Worker::erasures`] show why.
    pub async fn clear(&self, volume: &str) -> Result<(), StepError> {
        let _lock = self.volumes.lock(volume.to_owned()).await;
        let cleared = self.take_leftover_steps(volume).await;
        match &cleared {
            Ok(()) => self.erasures.ended(volume),
            Err(StepError::Zero(ZeroError::Stopped)) => {}
            Err(error) => self.erasures.failed(volume, program::chain(error)),
        }
        cleared
    }

    async fn take_leftover_steps(&self, volume: &str) -> Result<(), StepError> {
        loop {
            let listing = self.layout.list().await?;
            let id = volume.to_owned();
            match self.plan_leftover(volume, &listing, true) {
                LeftoverStep::Leave => return Ok(()),
                LeftoverStep::AskForAnother if !self.is_elsewhere(volume).await? => return Ok(()),
                LeftoverStep::AskForAnother => {
                    tracing::warn!(
                        volume,
                        "another node has this volume, and nobody used it here: it is erased here"
                    );
                    self.on_devices(move |devices| devices.mark(&id, Stage::Erasing))
                        .await?;
                }
                LeftoverStep::Erase(location) => self.erase(volume, location).await?,
                LeftoverStep::Mark(stage) => {
                    self.on_devices(move |devices| devices.mark(&id, stage)).await?;
                    self.bytes.forget(volume);
                }
                LeftoverStep::Destroy => {
                    tracing::info!(volume, "destroying the namespace, which nobody has data in");
                    self.destroy(volume).await?;
                }
            }
        }
    }

    fn plan_leftover(&self, volume: &str, listing: &Listing, objects_known: bool) -> LeftoverStep {
        // A power loss may bring it back as what it was, beside another of the volume.
        if listing.inventory.unrecorded_quarantine(volume).is_some() {
            return LeftoverStep::Mark(Stage::Quarantined);
        }
        if listing.inventory.spare_of(volume).is_some() {
            return LeftoverStep::Destroy;
        }
        let is_wanted = || !objects_known || self.is_wanted(volume);
        match listing.inventory.of_volume(volume) {
            Ok(Some((namespace, stage))) => next_leftover_step(namespace, stage, &self.bytes.get(volume), is_wanted),
            Ok(None) | Err(_) => LeftoverStep::Leave,
        }
    }

    async fn is_elsewhere(&self, volume: &str) -> Result<bool, StepError> {
        let found = self.record.read(volume).await?;
        Ok(found.is_some_and(|found| found.spec.node != self.record.node()))
    }

    fn is_wanted(&self, volume: &str) -> bool {
        let is_it = |object: &PmemVolume| name(object) == volume && object.metadata.deletion_timestamp.is_none();
        self.record.all().iter().any(|object| is_it(object))
    }
}

/// Calls [`Worker::clear`] for each of them, whenever the devices or the objects change, until `stop`; then waits for what is
/// under way. What failed is repeated.
pub(crate) async fn run<R: Record>(worker: Arc<Worker<R>>, mut objects: Objects, stop: CancellationToken) {
    let mut listings = worker.layout.subscribe();
    let mut at_work = HashSet::new();
    let mut tasks = JoinSet::new();
    let mut asking = interval(ASK_EVERY);
    let mut is_to_ask = false;
    while !stop.is_cancelled() {
        let objects_known = objects.look().is_some();
        let listing = listings.borrow_and_update().listing.clone();
        let is_due = |step: &LeftoverStep| match step {
            LeftoverStep::Leave => false,
            LeftoverStep::AskForAnother => is_to_ask,
            LeftoverStep::Erase(_) | LeftoverStep::Mark(_) | LeftoverStep::Destroy => true,
        };
        let found = listing.map(|listing| worker.leftovers(&listing, objects_known, is_due));
        for volume in found.unwrap_or_default() {
            if at_work.insert(volume.clone()) {
                tasks.spawn(clear(Arc::clone(&worker), volume, stop.clone()));
            }
        }
        is_to_ask = false;
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = asking.tick() => is_to_ask = true,
            Ok(()) = listings.changed() => {}
            () = objects.changed() => {}
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
