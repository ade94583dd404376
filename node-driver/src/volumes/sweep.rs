//! Free bytes that may hold something are made zero before anybody needs them, so that no volume waits for that.
//!
//! Nothing that somebody wants waits for a sweep: who makes a namespace or erases one in the region ends it. What it did by then
//! counts.

mod resting;
mod vanished;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::RegionState;
use placement::{Bytes, Extent, RegionId};
use program::spawn_blocking;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::error::StepError;
use super::locks::Locks;
use super::objects::Objects;
use super::record::Record;
use super::worker::Worker;
use super::zero::pass::{ZeroError, Zeroed, erase_quietly};
use super::zero::progress::Progress;
use crate::devices::{Devices, Inventory, Location, NewNamespace, Region, sweep_id};
use resting::Resting;
use vanished::{Seen, missing};

/// How often to look for free bytes that may hold something. Nothing tells of those that others freed.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How many free bytes of each region may hold something, as far as that is known.
pub type UnknownBytes = BTreeMap<RegionId, Bytes>;

/// How the sweep of a hole ended.
enum Swept {
    /// Each of its bytes is zero.
    All,
    /// There is nothing to sweep now, or somebody else came first.
    NotNow,
    /// It has bad blocks. The kernel lists them by now, and they get into quarantine.
    Bad,
}

/// The sweeps of this node.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    /// Held while a region is swept, and while somebody takes space there.
    rooms: Locks<RegionId>,
    /// Ends the sweep of a region.
    at_work: Mutex<HashMap<RegionId, CancellationToken>>,
    unknown: watch::Sender<UnknownBytes>,
}

impl Sweeps {
    /// Ends what is swept in a region, and keeps out others until the guard is dropped.
    pub(super) async fn make_room(&self, region: &RegionId) -> OwnedMutexGuard<()> {
        if let Some(sweep) = self.at_work().get(region) {
            sweep.cancel();
        }
        self.rooms.lock(region.clone()).await
    }

    pub(super) fn unknown(&self) -> watch::Receiver<UnknownBytes> {
        self.unknown.subscribe()
    }

    /// So many free bytes of a region may hold something.
    fn are_unknown(&self, region: &RegionId, bytes: Bytes) {
        self.unknown
            .send_if_modified(|all| all.insert(region.clone(), bytes) != Some(bytes));
    }

    /// Nothing is known of other regions.
    fn forget_others(&self, regions: &BTreeSet<RegionId>) {
        self.unknown.send_if_modified(|all| {
            let before = all.len();
            all.retain(|region, _| regions.contains(region));
            all.len() < before
        });
    }

    /// Waits until the region may be swept. Who makes room from now on ends that by the token.
    async fn begin(&self, region: &RegionId, stop: &CancellationToken) -> (OwnedMutexGuard<()>, CancellationToken) {
        let end = stop.child_token();
        self.at_work().insert(region.clone(), end.clone());
        (self.rooms.lock(region.clone()).await, end)
    }

    fn at_work(&self) -> MutexGuard<'_, HashMap<RegionId, CancellationToken>> {
        // Every change is one insertion, so a panic elsewhere leaves nothing half done.
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
struct Memory {
    resting: Resting,
    seen: Seen,
}

/// Sweeps free bytes that have rested for `after`, until `stop`: they may belong to somebody who destroyed a namespace by mistake.
/// What failed is repeated after another rest. Without the `objects`, nobody can tell whose labels are lost.
pub(crate) async fn run<R: Record>(
    worker: Arc<Worker<R>>,
    mut objects: Objects,
    after: Duration,
    stop: CancellationToken,
) {
    let every = after.clamp(Duration::from_secs(1), LOOK_EVERY);
    let mut memory = Memory::default();
    if stop.run_until_cancelled(objects.changed()).await.is_none() {
        return;
    }
    while stop.run_until_cancelled(sleep(every)).await.is_some() {
        if let Err(error) = worker.sweep_all(&mut memory, after).await {
            let error = program::chain(&error);
            tracing::warn!(
                error,
                "cannot look for free bytes that may hold something; it will be repeated"
            );
        }
    }
}

impl<R: Record> Worker<R> {
    /// Sweeps all free bytes that may hold something, however short they have rested. Returns how many are left in each region.
    ///
    /// # Errors
    /// The devices cannot be listed.
    pub async fn sweep_at_once(&self) -> Result<UnknownBytes, StepError> {
        self.sweep_all(&mut Memory::default(), Duration::ZERO).await?;
        Ok(self.sweeps.unknown().borrow().clone())
    }

    async fn sweep_all(&self, memory: &mut Memory, after: Duration) -> Result<(), StepError> {
        let inventory = self.layout.list().await?.inventory;
        memory.seen.look(&inventory);
        let is_ready = |region: &&Region| region.state == RegionState::Ready;
        let ready: BTreeSet<RegionId> = inventory
            .regions
            .iter()
            .filter(is_ready)
            .map(|region| region.id.clone())
            .collect();
        self.sweeps.forget_others(&ready);
        for region in &ready {
            if let Err(error) = self.sweep_region(region, memory, after).await {
                let error = program::chain(&error);
                tracing::warn!(%region, error, "free bytes are not made zero; it will be repeated");
                memory.resting.begin_again(region);
            }
        }
        Ok(())
    }

    /// Sweeps one hole after the other, as long as that leaves less.
    async fn sweep_region(&self, region: &RegionId, memory: &mut Memory, after: Duration) -> Result<(), StepError> {
        let begun = Instant::now();
        let (mut before, mut is_swept) = (None, false);
        loop {
            let unknown = self.unknown_in(region).await?;
            let left = size_of(&unknown);
            self.sweeps.are_unknown(region, left);
            let is_due = memory.resting.have_rested(region, &unknown, after, Instant::now());
            if !is_due || before.is_some_and(|before| left >= before) {
                break;
            }
            before = Some(left);
            match self.sweep(region, &unknown, &mut memory.seen).await? {
                Swept::All => is_swept = true,
                Swept::NotNow | Swept::Bad => {
                    memory.resting.begin_again(region);
                    break;
                }
            }
        }
        if is_swept {
            memory.resting.was_swept(region, begun.elapsed(), after, Instant::now());
        }
        Ok(())
    }

    async fn unknown_in(&self, region: &RegionId) -> Result<Vec<Extent>, StepError> {
        let (devices, region) = (self.layout.devices(), region.clone());
        Ok(spawn_blocking(move || devices.unknown(&region)).await??)
    }

    /// Sweeps one hole.
    async fn sweep(&self, region: &RegionId, unknown: &[Extent], seen: &mut Seen) -> Result<Swept, StepError> {
        let (_room, end) = self.sweeps.begin(region, &self.stop).await;
        let inventory = self.layout.list().await?.inventory;
        if end.is_cancelled()
            || self.erasing.is_held(region)
            || self.holds_bytes_of_volumes(region, unknown, seen, &inventory)
        {
            return Ok(Swept::NotNow);
        }
        let shown = inventory.region(region);
        let Some(hole) = shown.and_then(|shown| inventory.next_sweep(shown, unknown)) else {
            return Ok(Swept::NotNow);
        };
        let new = NewNamespace {
            volume: sweep_id(region, hole, program::now()),
            region: region.clone(),
            footprint: hole.size,
        };
        tracing::info!(%region, start = %hole.start, size = %hole.size, "making free bytes zero that may hold something");
        let _lock = self.volumes.lock(new.volume.clone()).await;
        let (devices, progress) = (self.layout.devices(), Progress::new(end));
        let swept = spawn_blocking(move || sweep(&*devices, &new, hole, &progress)).await?;
        self.layout.list().await?;
        swept
    }

    /// Whether the free bytes of a region may be those of a volume whose labels are lost: they come back with the labels, and nothing
    /// else tells where they are. Objects that are being deleted count, too: their volumes were not erased either.
    fn holds_bytes_of_volumes(
        &self,
        region: &RegionId,
        unknown: &[Extent],
        seen: &mut Seen,
        inventory: &Inventory,
    ) -> bool {
        let objects = self.record.all();
        let own = objects
            .iter()
            .map(AsRef::as_ref)
            .filter(|object| object.spec.node == self.record.node());
        let missing = missing(own, region, inventory).map(ToOwned::to_owned);
        let Some(volume) = missing.or_else(|| seen.vanished(region, unknown, inventory)) else {
            return false;
        };
        tracing::warn!(%region, volume, "free bytes stay as they are: they may be those of a volume that was there, and was not erased");
        true
    }
}

impl Inventory {
    fn is_at(&self, volume: &str, extent: Extent) -> bool {
        matches!(self.of_volume(volume), Ok(Some((found, _))) if found.extent == extent)
    }
}

fn size_of(extents: &[Extent]) -> Bytes {
    extents.iter().map(|extent| extent.size).sum()
}

/// Makes a namespace where the hole is, writes zeros over what is not known to be zero, and destroys it.
fn sweep(devices: &dyn Devices, new: &NewNamespace, hole: Extent, progress: &Progress) -> Result<Swept, StepError> {
    let known = devices.create(new)?;
    if !devices.inventory()?.is_at(&new.volume, hole) {
        // Somebody else took or freed space meanwhile.
        devices.destroy(&new.volume, &[])?;
        return Ok(Swept::NotNow);
    }
    let swept = write_over(devices, &new.volume, hole, &known, progress);
    let all = match &swept {
        Ok(Zeroed::All) | Err(StepError::Zero(ZeroError::Stopped)) => {
            let written = Extent::new(hole.start, progress.flushed());
            known.into_iter().chain([written]).collect()
        }
        Ok(Zeroed::AllBut { .. }) | Err(_) => known,
    };
    let place = |extent| Location {
        region: new.region.clone(),
        extent,
    };
    let zero: Vec<Location> = all.into_iter().map(place).collect();
    devices.destroy(&new.volume, &zero)?;
    match swept {
        Ok(Zeroed::All) => Ok(Swept::All),
        Ok(Zeroed::AllBut { first, size }) => {
            tracing::warn!(region = %new.region, first = %hole.start.plus(first), %size, "bad blocks in free space");
            Ok(Swept::Bad)
        }
        Err(StepError::Zero(ZeroError::Stopped)) => Ok(Swept::NotNow),
        Err(error) => Err(error),
    }
}

fn write_over(
    devices: &dyn Devices,
    id: &str,
    hole: Extent,
    known: &[Extent],
    progress: &Progress,
) -> Result<Zeroed, StepError> {
    let in_namespace = |known: &Extent| Extent::new(known.start.minus(hole.start), known.size);
    let known: Vec<Extent> = known.iter().map(in_namespace).collect();
    Ok(erase_quietly(&*devices.open_raw(id)?, &known, progress)?)
}
