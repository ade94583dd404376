//! Carries out the steps of volumes: one after the other for each volume, several volumes side by side.

use std::sync::Arc;

use crds::{PmemVolume, PmemVolumeStatus};
use program::spawn_blocking;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_util::sync::CancellationToken;

use super::earlier::EarlierVolumes;
use super::error::StepError;
use super::locks::Locks;
use super::pending::free_for;
use super::plan::{Blocked, Observed, Provisioned, Step, is_choosing, is_to_be_placed, step_in};
use super::record::Record;
use super::status;
use super::sweep::{Sweeps, UnknownBytes};
use super::tries::Tries;
use super::turns::{Moment, Turns};
use super::zero::byte_state::{ByteState, ByteStates, Location};
use super::zero::erasures::Erasures;
use super::zero::rates::EraseRates;
use crate::devices::{DeviceError, Devices, EarlierVolume, NewNamespace, Stage};
use crate::layout::{Layout, Listing};
use placement::RegionId;

/// How a volume stands when no further step can be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkResult {
    /// It is as it should be.
    Settled,
    /// It was deleted, and its object may go: the device says what becomes of its bytes.
    Released,
    /// A person has to help, as its condition says; reconcile it again later.
    Blocked,
    /// An older volume gets its space first; reconcile it again in a moment.
    Behind,
    /// It could not be made where it was to be, and leaves that place; reconcile it again at once.
    Elsewhere,
}

/// Brings volumes of this node to where their objects say they should be.
pub struct Worker<R> {
    pub(super) layout: Arc<Layout>,
    pub(super) record: R,
    pub(super) bytes: ByteStates,
    /// One volume at a time chooses a region and takes space there, so that each sees what the last one took.
    placing: Mutex<()>,
    turns: Turns,
    /// One erasure at a time in each region.
    pub(super) erasing: Locks<RegionId>,
    /// One task at a time works on a volume, with or without its object.
    pub(super) volumes: Locks<String>,
    pub(super) erasures: Erasures,
    pub(super) sweeps: Sweeps,
    pub(super) rates: EraseRates,
    earlier: EarlierVolumes,
    tries: Tries,
    pub(super) stop: CancellationToken,
}

/// What to do after a step.
pub(super) enum Next {
    /// Plan again, for the volume as it was written.
    Plan(Box<PmemVolume>),
    /// The devices changed: list them, and plan again.
    List,
    Stop(WorkResult),
}

impl<R: Record> Worker<R> {
    /// A worker on the devices of `layout` that writes statuses to `record`. After `stop`, it ends scrubs and erasures.
    #[must_use]
    pub fn new(layout: Arc<Layout>, record: R, stop: CancellationToken) -> Self {
        Self {
            layout,
            record,
            bytes: ByteStates::default(),
            placing: Mutex::default(),
            turns: Turns::default(),
            erasing: Locks::default(),
            volumes: Locks::default(),
            erasures: Erasures::default(),
            sweeps: Sweeps::default(),
            rates: EraseRates::default(),
            earlier: EarlierVolumes::default(),
            tries: Tries::default(),
            stop,
        }
    }

    /// The same worker, which notes in `earlier` which volumes were made before there were marks.
    #[must_use]
    pub fn with_earlier(self, earlier: EarlierVolumes) -> Self {
        Self { earlier, ..self }
    }

    /// The same worker, which erases no faster than this.
    #[must_use]
    pub fn with_rates(self, rates: EraseRates) -> Self {
        Self { rates, ..self }
    }

    /// How far its erasures have come.
    #[must_use]
    pub fn erasures(&self) -> Erasures {
        self.erasures.clone()
    }

    /// Which free bytes may hold something.
    #[must_use]
    pub(crate) fn unknown(&self) -> watch::Receiver<UnknownBytes> {
        self.sweeps.unknown()
    }

    /// Takes the steps of `volume` until it is settled, gone or blocked.
    ///
    /// # Errors
    /// A step failed: call it again later. The condition of the volume shows why, if the failure is about the volume.
    pub async fn reconcile(&self, volume: PmemVolume) -> Result<WorkResult, StepError> {
        let _lock = self.volumes.lock(name(&volume).to_owned()).await;
        let mut current = volume;
        match self.take_steps(&mut current).await {
            Err(error) if error.is_about(&current) => {
                self.record_failure(&current, &error).await?;
                if self.tries.failed(name(&current)) && self.leave_place(&current).await? {
                    return Ok(WorkResult::Elsewhere);
                }
                Err(error)
            }
            other => {
                self.tries.succeeded(name(&current));
                other
            }
        }
    }

    /// A volume that nobody was handed, and that cannot be made where it was to be, leaves nothing there, and as much space is not
    /// offered there for a while: it is made elsewhere, or refused, so that its pod goes to another node. False for any other.
    async fn leave_place(&self, volume: &PmemVolume) -> Result<bool, StepError> {
        let listing = self.layout.list().await?;
        let step = self.step_in_turn(volume, &listing);
        let (region, footprint) = match (step, listing.inventory.of_volume(name(volume))) {
            (Some(Step::Create(new)), _) => (new.region, new.footprint),
            (Some(Step::Scrub(_) | Step::Configure(..) | Step::Mark(_)), Ok(Some((made, Stage::Making)))) => {
                self.destroy(name(volume)).await?;
                (made.region.clone(), made.extent.size)
            }
            _ => return Ok(false),
        };
        let left = self.layout.list().await?;
        tracing::warn!(volume = name(volume), %region, "it cannot be made there, and is made elsewhere");
        self.layout.refused(&region, footprint, &left.inventory);
        Ok(true)
    }

    async fn take_steps(&self, volume: &mut PmemVolume) -> Result<WorkResult, StepError> {
        let (mut listing, mut placing) = self.first_listing(volume).await?;
        let mut is_confirmed = false;
        loop {
            let Some(step) = self.step_in_turn(volume, &listing) else {
                return Ok(WorkResult::Behind);
            };
            let takes_space = takes_space(&step);
            if takes_space && placing.is_none() {
                placing = Some(self.placing.lock().await);
                listing = self.layout.list().await?;
                continue;
            }
            placing = placing.filter(|_| takes_space);
            if (takes_space || step == Step::Mark(Stage::HandedOut)) && !is_confirmed {
                *volume = self.confirm(volume).await?;
                is_confirmed = true;
                continue;
            }
            match self.carry_out(step, volume, &listing).await {
                Ok(Next::Plan(next)) => *volume = *next,
                Ok(Next::List) => listing = self.layout.list().await?,
                Ok(Next::Stop(result)) => return Ok(result),
                // The watch is behind: the step followed from a version of long ago.
                Err(StepError::Record(error)) if error.is_conflict() => *volume = self.confirm(volume).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The volume as it is now. What the watch shows may be of the past: a namespace is neither made nor handed out for an object
    /// that is gone, nor a second one for an object whose region was recorded meanwhile.
    async fn confirm(&self, volume: &PmemVolume) -> Result<PmemVolume, StepError> {
        let found = self.record.read(name(volume)).await?;
        let is_same = |found: &PmemVolume| found.metadata.uid == volume.metadata.uid;
        found.filter(is_same).ok_or(StepError::Gone)
    }

    /// Most calls are about volumes that are as they should be, or that wait for an older one: for them, the last listing is enough.
    /// One that seems to take space is listed for when it is its turn to.
    async fn first_listing(&self, volume: &PmemVolume) -> Result<(Listing, Placing<'_>), StepError> {
        let last = self.layout.subscribe().borrow().listing.clone();
        let placing = match last.map(|listing| (self.step_in_turn(volume, &listing), listing)) {
            Some((None | Some(Step::Nothing), listing)) => return Ok((listing, None)),
            Some((Some(step), _)) if takes_space(&step) => Some(self.placing.lock().await),
            Some(_) | None => None,
        };
        Ok((self.layout.list().await?, placing))
    }

    /// The next step; none if that is to choose a region, or to be refused, and an older volume comes first.
    fn step_in_turn(&self, volume: &PmemVolume, listing: &Listing) -> Option<Step> {
        let observed = Observed {
            volume,
            inventory: &listing.inventory,
            bytes: &self.bytes.get(name(volume)),
        };
        // Without its free space, which nobody needs to know while it waits.
        if is_to_be_placed(&observed) && self.is_behind(volume, listing) {
            return None;
        }
        let step = step_in(&observed, || {
            let all = self.record.all();
            free_for(volume, &listing.inventory, all.iter().map(AsRef::as_ref))
        });
        let chooses = matches!(step, Step::Refuse(_) | Step::RecordRegion(_));
        (!chooses || !self.is_behind(volume, listing)).then_some(step)
    }

    fn is_behind(&self, volume: &PmemVolume, listing: &Listing) -> bool {
        let now = Moment {
            inventory: Arc::clone(&listing.inventory),
            volumes: self.record.all(),
        };
        self.turns
            .is_behind(volume, now, |other, free| is_choosing(other, &listing.inventory, free))
    }

    async fn carry_out(&self, step: Step, volume: &PmemVolume, listing: &Listing) -> Result<Next, StepError> {
        let id = name(volume).to_owned();
        log(&id, &step);
        if let Some(status) = status::after(&step, volume, listing.revision, program::now()) {
            return self.write(&step, volume, status).await;
        }
        match step {
            Step::Create(new) => {
                self.bytes.forget(&id);
                self.create(new, listing).await
            }
            Step::Scrub(location) => self.scrub(volume, location).await,
            Step::Configure(location, mode) => {
                self.bytes.forget(&id);
                let configured = id.clone();
                let next = self
                    .on_devices(move |devices| devices.configure(&configured, mode))
                    .await?;
                self.bytes.set(&id, ByteState::Configured(location));
                Ok(next)
            }
            Step::Mark(stage) => {
                self.note_rate(volume, stage);
                self.mark(id, stage, listing).await
            }
            Step::MarkEarlier(location, stage) => self.mark_earlier(id, location, stage).await,
            Step::Destroy => self.destroy(&id).await,
            Step::RemoveFinalizer => self.release(volume).await,
            Step::Nothing | Step::Refuse(_) | Step::RecordRegion(_) | Step::RecordReady(_) | Step::Wait(_) => {
                Ok(Next::Stop(WorkResult::Settled))
            }
        }
    }

    /// What the kernel refuses is planned anew: in another region, or nowhere on this node.
    async fn create(&self, new: NewNamespace, listing: &Listing) -> Result<Next, StepError> {
        let NewNamespace {
            volume,
            region,
            footprint,
        } = new.clone();
        let devices = self.layout.devices();
        let _room = self.sweeps.make_room(&region).await;
        match spawn_blocking(move || devices.create(&new)).await? {
            // Its bytes are free, and somebody else has them open: so they are not.
            Err(DeviceError::NoSpace { .. } | DeviceError::InUse { .. }) => {
                self.layout.refused(&region, footprint, &listing.inventory);
            }
            Err(error) => return Err(error.into()),
            Ok(zero) => match zero[..] {
                [extent] if extent.size == footprint => {
                    tracing::info!(volume, %region, "each of its bytes is known to be zero: they are not read");
                    self.bytes.set(&volume, ByteState::Zero(Location { region, extent }));
                }
                _ => {}
            },
        }
        Ok(Next::List)
    }

    /// Frees the space of the volume, and tells of its bytes if they are zero.
    pub(super) async fn destroy(&self, volume: &str) -> Result<Next, StepError> {
        let zero = match self.bytes.take(volume) {
            ByteState::Zero(location) => vec![location],
            ByteState::Unknown | ByteState::Bad(_) | ByteState::Configured(_) => Vec::new(),
        };
        let volume = volume.to_owned();
        self.on_devices(move |devices| devices.destroy(&volume, &zero)).await
    }

    /// A living volume was held by an earlier version of the driver.
    async fn release(&self, volume: &PmemVolume) -> Result<Next, StepError> {
        self.record.remove_finalizer(volume).await?;
        if volume.metadata.deletion_timestamp.is_some() {
            self.bytes.forget(name(volume));
            return Ok(Next::Stop(WorkResult::Released));
        }
        // The object comes back as a change, with its new version.
        Ok(Next::Stop(WorkResult::Settled))
    }

    /// What is in use by now was marked by `NodeStageVolume` since the devices were listed. A mark that is not on the modules is
    /// written again once nobody uses the volume.
    async fn mark(&self, id: String, stage: Stage, listing: &Listing) -> Result<Next, StepError> {
        let is_marked = matches!(listing.inventory.of_volume(&id), Ok(Some((_, now))) if now == stage);
        match self.on_devices(move |devices| devices.mark(&id, stage)).await {
            Err(StepError::Device(DeviceError::InUse { device, by, .. })) if is_marked => {
                Err(DeviceError::NotRecordedInUse { device, by }.into())
            }
            Err(StepError::Device(DeviceError::WrongStage {
                stage: Stage::InUse, ..
            })) if stage == Stage::HandedOut => Ok(Next::List),
            marked => marked,
        }
    }

    /// One that somebody uses is marked later; until then the cluster vouches for it.
    async fn mark_earlier(&self, id: String, location: Location, stage: Stage) -> Result<Next, StepError> {
        if stage == Stage::InUse {
            self.earlier.insert(&id);
        }
        let earlier = EarlierVolume {
            volume: id.clone(),
            region: location.region,
            extent: location.extent,
        };
        let marked = self
            .on_devices(move |devices| devices.mark_earlier(&earlier, stage))
            .await;
        match marked {
            Err(StepError::Device(DeviceError::InUse { .. } | DeviceError::NoMark { .. })) if stage == Stage::InUse => {
                tracing::debug!(volume = id, "made before there were marks, and cannot be marked now");
                Ok(Next::Stop(WorkResult::Blocked))
            }
            Err(error) => Err(error),
            Ok(next) => {
                self.earlier.remove(&id);
                tracing::info!(volume = id, %stage, "marked a volume that was made before there were marks");
                Ok(next)
            }
        }
    }

    /// Writes the status that a step leads to, if it is new.
    async fn write(&self, step: &Step, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<Next, StepError> {
        let is_new = volume.status.as_ref() != Some(&status);
        let blocked = match step {
            Step::Wait(blocked) => Some(blocked),
            _ => None,
        };
        if let (Some(blocked), true) = (blocked, is_new) {
            log_blocked(volume, blocked);
        }
        let written = if is_new {
            self.record.write_status(volume, status).await?
        } else {
            volume.clone()
        };
        Ok(match blocked {
            Some(_) => Next::Stop(WorkResult::Blocked),
            None => Next::Plan(Box::new(written)),
        })
    }

    pub(super) async fn on_devices(
        &self,
        change: impl FnOnce(&dyn Devices) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<Next, StepError> {
        let devices = self.layout.devices();
        spawn_blocking(move || change(&*devices)).await??;
        Ok(Next::List)
    }

    /// Writes a failure into the volume's conditions, and logs it, if it is new.
    async fn record_failure(&self, volume: &PmemVolume, error: &StepError) -> Result<(), StepError> {
        match self.write_failure(volume, error).await {
            Err(StepError::Record(conflict)) if conflict.is_conflict() => {
                let now = self.confirm(volume).await?;
                self.write_failure(&now, error).await
            }
            written => written,
        }
    }

    async fn write_failure(&self, volume: &PmemVolume, error: &StepError) -> Result<(), StepError> {
        let before = volume.status.clone().unwrap_or_default();
        let is_deleted = volume.metadata.deletion_timestamp.is_some();
        let message = program::chain(error);
        let status = status::failing(&before, is_deleted, error.reason(), message.clone(), program::now());
        if status != before {
            tracing::warn!(
                volume = name(volume),
                error = message,
                "a step failed; it will be repeated"
            );
            self.record.write_status(volume, status).await?;
        }
        Ok(())
    }
}

/// The turn of a volume that chooses a region and takes space there, if it is its turn.
type Placing<'a> = Option<MutexGuard<'a, ()>>;

fn takes_space(step: &Step) -> bool {
    matches!(step, Step::Refuse(_) | Step::RecordRegion(_) | Step::Create(_))
}

pub(super) fn name(volume: &PmemVolume) -> &str {
    volume.metadata.name.as_deref().unwrap_or_default()
}

fn log(volume: &str, step: &Step) {
    match step {
        Step::Nothing | Step::Wait(_) => {}
        Step::Refuse(refusal) => tracing::info!(volume, %refusal, "refused"),
        Step::RecordReady(Provisioned { location, usable }) => {
            tracing::info!(volume, region = %location.region, %usable, "ready");
        }
        Step::Mark(_) | Step::MarkEarlier(..) | Step::Destroy | Step::RemoveFinalizer => tracing::info!(volume, ?step),
        Step::RecordRegion(_) | Step::Create(_) | Step::Scrub(_) | Step::Configure(..) => {
            tracing::debug!(volume, ?step);
        }
    }
}

fn log_blocked(volume: &PmemVolume, blocked: &Blocked) {
    tracing::warn!(volume = name(volume), reason = blocked.reason(), "{blocked}");
}
