//! Carries out the steps of volumes: one after the other for each volume, several volumes side by side.

use std::sync::Arc;

use crds::{PmemVolume, PmemVolumeStatus};
use jiff::Timestamp;
use placement::Bytes;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::error::StepError;
use super::pending::free_for;
use super::plan::{Blocked, Observed, Provisioned, Step, next_step};
use super::record::Record;
use super::region_locks::RegionLocks;
use super::status;
use super::zero::byte_state::{ByteState, ByteStates, Location};
use super::zero::erasure::Erasure;
use super::zero::pass::{Progress, ZeroError, scrub};
use crate::devices::{DeviceError, Devices};
use crate::layout::{Layout, Listing};

/// Progress of an erasure is written only if it grew by this part of the whole.
const PROGRESS_PARTS: i64 = 100;

/// How a volume stands when no further step can be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkResult {
    /// It is as it should be.
    Settled,
    /// It was deleted, its space is zero and free, and its object may go.
    Released,
    /// A person has to help, as its condition says; reconcile it again later.
    Blocked,
}

/// Brings volumes of this node to where their objects say they should be.
pub struct Worker<R> {
    pub(super) layout: Arc<Layout>,
    record: R,
    bytes: ByteStates,
    /// One volume at a time chooses a region and takes space there, so that each sees what the last one took.
    placing: Mutex<()>,
    /// One erasure at a time in each region.
    erasing: RegionLocks,
    stop: CancellationToken,
}

/// What to do after a step.
enum Next {
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
            erasing: RegionLocks::default(),
            stop,
        }
    }

    /// Takes the steps of `volume` until it is settled, gone or blocked.
    ///
    /// # Errors
    /// A step failed: call it again later. The condition of the volume shows why, if the failure is about the volume.
    pub async fn reconcile(&self, volume: PmemVolume) -> Result<WorkResult, StepError> {
        let mut current = volume;
        match self.take_steps(&mut current).await {
            Err(error) if error.is_about(&current) => {
                self.record_failure(&current, &error).await?;
                Err(error)
            }
            other => other,
        }
    }

    async fn take_steps(&self, volume: &mut PmemVolume) -> Result<WorkResult, StepError> {
        let mut listing = self.first_listing(volume).await?;
        let mut placing: Option<MutexGuard<'_, ()>> = None;
        loop {
            let step = self.plan(volume, &listing);
            let takes_space = matches!(step, Step::Refuse(_) | Step::RecordRegion(_) | Step::Create(_));
            if takes_space && placing.is_none() {
                placing = Some(self.placing.lock().await);
                listing = self.layout.list().await?;
                continue;
            }
            placing = placing.filter(|_| takes_space);
            match self.carry_out(step, volume, &listing).await? {
                Next::Plan(next) => *volume = *next,
                Next::List => listing = self.layout.list().await?,
                Next::Stop(result) => return Ok(result),
            }
        }
    }

    /// Most calls are about volumes that are as they should be: for them, the last listing is enough.
    async fn first_listing(&self, volume: &PmemVolume) -> Result<Listing, StepError> {
        let last = self.layout.subscribe().borrow().listing.clone();
        let is_settled = |listing: &Listing| self.plan(volume, listing) == Step::Nothing;
        match last.filter(is_settled) {
            Some(listing) => Ok(listing),
            None => Ok(self.layout.list().await?),
        }
    }

    fn plan(&self, volume: &PmemVolume, listing: &Listing) -> Step {
        let all = self.record.all();
        let free = free_for(volume, &listing.inventory, all.iter().map(AsRef::as_ref));
        next_step(&Observed {
            volume,
            inventory: &listing.inventory,
            free: &free,
            bytes: &self.bytes.get(volume),
        })
    }

    async fn carry_out(&self, step: Step, volume: &PmemVolume, listing: &Listing) -> Result<Next, StepError> {
        let name = volume.metadata.name.clone().unwrap_or_default();
        log(&name, &step);
        if let Some(status) = status::after(&step, volume, listing.revision, Timestamp::now()) {
            return self.write(&step, volume, status).await;
        }
        match step {
            Step::AddFinalizer => Ok(Next::Plan(Box::new(self.record.add_finalizer(volume).await?))),
            Step::Create(new) => self.on_devices(move |devices| devices.create(&new)).await,
            Step::Scrub(location) => self.scrub(volume, location).await,
            Step::Configure(location, mode) => {
                self.bytes.set(volume, ByteState::Unknown);
                let next = self.on_devices(move |devices| devices.configure(&name, mode)).await?;
                self.bytes.set(volume, ByteState::Configured(location));
                Ok(next)
            }
            Step::Erase(location) => self.erase(volume, location).await,
            Step::Destroy => self.on_devices(move |devices| devices.destroy(&name)).await,
            Step::RemoveFinalizer => {
                self.record.remove_finalizer(volume).await?;
                self.bytes.forget(volume);
                Ok(Next::Stop(WorkResult::Released))
            }
            Step::Nothing
            | Step::Refuse(_)
            | Step::RecordRegion(_)
            | Step::RecordReady(_)
            | Step::RecordErasing(_)
            | Step::Wait(_) => Ok(Next::Stop(WorkResult::Settled)),
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

    async fn on_devices(
        &self,
        change: impl FnOnce(&dyn Devices) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<Next, StepError> {
        let devices = self.layout.devices();
        spawn_blocking(move || change(&*devices)).await??;
        Ok(Next::List)
    }

    async fn scrub(&self, volume: &PmemVolume, location: Location) -> Result<Next, StepError> {
        self.bytes.set(volume, ByteState::Unknown);
        let devices = self.layout.devices();
        let name = volume.metadata.name.clone().unwrap_or_default();
        let progress = Progress::new(self.stop.clone());
        spawn_blocking(move || -> Result<(), StepError> { Ok(scrub(&*devices.open_raw(&name)?, &progress)?) })
            .await??;
        self.bytes.set(volume, ByteState::Zero(location));
        Ok(Next::Plan(Box::new(volume.clone())))
    }

    /// Writes zeros over every byte of the volume, once no other erasure is at work in the region.
    async fn erase(&self, volume: &PmemVolume, location: Location) -> Result<Next, StepError> {
        self.bytes.set(volume, ByteState::Unknown);
        let lock = self.erasing.lock(&location.region);
        let Some(_lock) = self.stop.run_until_cancelled(lock).await else {
            return Err(ZeroError::Stopped.into());
        };
        let name = volume.metadata.name.clone().unwrap_or_default();
        let mut erasure = Erasure::start(self.layout.devices(), name, self.stop.clone());
        let mut volume = volume.clone();
        let mut written = Bytes::ZERO;
        while let Some(zeroed) = erasure.progress().await? {
            if zeroed.minus(written).times(PROGRESS_PARTS) >= location.extent.size
                && let Some(next) = self.write_progress(&volume, &location, zeroed).await
            {
                (volume, written) = (next, zeroed);
            }
        }
        self.bytes.set(&volume, ByteState::Zero(location));
        Ok(Next::Plan(Box::new(volume)))
    }

    /// Writes how far an erasure has come. None if that fails, which is no reason to stop it.
    async fn write_progress(&self, volume: &PmemVolume, location: &Location, zeroed: Bytes) -> Option<PmemVolume> {
        let before = volume.status.clone().unwrap_or_default();
        let status = status::erasing(&before, location, zeroed, Timestamp::now());
        let written = self.record.write_status(volume, status).await;
        written
            .inspect_err(|error| {
                let error = program::chain(error);
                tracing::warn!(error, "cannot write the progress of an erasure, which goes on");
            })
            .ok()
    }

    /// Writes a failure into the volume's conditions, and logs it, if it is new.
    async fn record_failure(&self, volume: &PmemVolume, error: &StepError) -> Result<(), StepError> {
        let before = volume.status.clone().unwrap_or_default();
        let is_deleted = volume.metadata.deletion_timestamp.is_some();
        let message = program::chain(error);
        let status = status::failing(&before, is_deleted, error.reason(), message.clone(), Timestamp::now());
        if status != before {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(volume = name, error = message, "a step failed; it will be repeated");
            self.record.write_status(volume, status).await?;
        }
        Ok(())
    }
}

fn log(volume: &str, step: &Step) {
    match step {
        Step::Nothing | Step::Wait(_) => {}
        Step::Refuse(refusal) => tracing::info!(volume, %refusal, "refused"),
        Step::RecordReady(Provisioned { location, usable }) => {
            tracing::info!(volume, region = %location.region, %usable, "ready");
        }
        Step::RecordErasing(_) | Step::Destroy | Step::RemoveFinalizer => tracing::info!(volume, ?step),
        Step::AddFinalizer
        | Step::RecordRegion(_)
        | Step::Create(_)
        | Step::Scrub(_)
        | Step::Configure(..)
        | Step::Erase(_) => tracing::debug!(volume, ?step),
    }
}

fn log_blocked(volume: &PmemVolume, blocked: &Blocked) {
    let volume = volume.metadata.name.as_deref().unwrap_or_default();
    tracing::warn!(volume, reason = blocked.reason(), "{blocked}");
}
