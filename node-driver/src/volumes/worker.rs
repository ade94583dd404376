//! Carries out what was decided, one volume at a time; several volumes side by side.

use std::sync::Arc;

use crds::{PmemVolume, PmemVolumeStatus};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::decide::{Provisioned, Situation, Step, decide};
use super::done::{Done, Place};
use super::error::WorkError;
use super::journal::Journal;
use super::pending::free_for;
use super::record::Record;
use super::region_locks::RegionLocks;
use super::says;
use super::zero::{Progress, scrub};
use crate::devices::{DeviceError, Devices};
use crate::error_chain::chain;
use crate::layout::{Layout, Look};

/// How a volume stands when there is nothing more to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Settled,
    /// Let go.
    Released,
    /// Somebody has to help; look again later.
    Waiting,
}

/// Brings volumes of this node to where they should be.
pub struct Worker<R> {
    pub(super) layout: Arc<Layout>,
    pub(super) record: R,
    pub(super) journal: Journal,
    /// One volume at a time chooses a region and takes space there, so that each sees what the last one took.
    placing: Mutex<()>,
    /// One erasure at a time in each region.
    pub(super) erasing: RegionLocks,
    pub(super) stop: CancellationToken,
}

fn log(volume: &str, step: &Step) {
    match step {
        Step::Idle | Step::Wait(_) => {}
        Step::Refuse(refusal) => tracing::info!(volume, %refusal, "refused"),
        Step::Report(Provisioned { place, usable }) => {
            tracing::info!(volume, region = %place.region, %usable, "ready");
        }
        Step::BeginErase(_) | Step::Destroy | Step::Release => tracing::info!(volume, ?step),
        Step::AddFinalizer
        | Step::Choose(_)
        | Step::Create(_)
        | Step::Scrub(_)
        | Step::Configure(..)
        | Step::Erase(_) => tracing::debug!(volume, ?step),
    }
}

enum Next {
    Decide(Box<PmemVolume>),
    Look,
    Done(Outcome),
}

impl<R: Record> Worker<R> {
    /// Works on the devices of `layout` and keeps states in `record`, until `stop`.
    #[must_use]
    pub fn new(layout: Arc<Layout>, record: R, stop: CancellationToken) -> Self {
        Self {
            layout,
            record,
            journal: Journal::default(),
            placing: Mutex::default(),
            erasing: RegionLocks::default(),
            stop,
        }
    }

    /// Goes on with `volume` until it is settled or cannot go on. What keeps it from going on is in its conditions then.
    ///
    /// # Errors
    /// If a step failed; to be repeated later.
    pub async fn advance(&self, volume: PmemVolume) -> Result<Outcome, WorkError> {
        let mut current = volume;
        match self.go_on(&mut current).await {
            Err(error) if error.is_about(&current) => {
                self.note(&current, &error).await?;
                Err(error)
            }
            other => other,
        }
    }

    async fn go_on(&self, volume: &mut PmemVolume) -> Result<Outcome, WorkError> {
        let mut look = self.first_look(volume).await?;
        let mut alone: Option<MutexGuard<'_, ()>> = None;
        loop {
            let step = self.decide(volume, &look);
            let takes_space = matches!(step, Step::Refuse(_) | Step::Choose(_) | Step::Create(_));
            if takes_space && alone.is_none() {
                alone = Some(self.placing.lock().await);
                look = self.layout.look().await?;
                continue;
            }
            alone = alone.filter(|_| takes_space);
            match self.take(step, volume, &look).await? {
                Next::Decide(next) => *volume = *next,
                Next::Look => look = self.layout.look().await?,
                Next::Done(outcome) => return Ok(outcome),
            }
        }
    }

    /// Most calls are about volumes that are as they should be: for them, what was seen last is enough.
    async fn first_look(&self, volume: &PmemVolume) -> Result<Look, WorkError> {
        let last = self.layout.seen().borrow().last.clone();
        let is_settled = |look: &Look| self.decide(volume, look) == Step::Idle;
        match last.filter(is_settled) {
            Some(look) => Ok(look),
            None => Ok(self.layout.look().await?),
        }
    }

    fn decide(&self, volume: &PmemVolume, look: &Look) -> Step {
        let all = self.record.all();
        let free = free_for(volume, &look.inventory, all.iter().map(AsRef::as_ref));
        decide(&Situation {
            volume,
            inventory: &look.inventory,
            free: &free,
            done: &self.journal.of(volume),
        })
    }

    async fn take(&self, step: Step, volume: &PmemVolume, look: &Look) -> Result<Next, WorkError> {
        let name = volume.metadata.name.clone().unwrap_or_default();
        log(&name, &step);
        if let Some(status) = says::after(&step, volume, look.revision, Timestamp::now()) {
            return self.write(&step, volume, status).await;
        }
        match step {
            Step::AddFinalizer => Ok(Next::Decide(Box::new(self.record.hold(volume).await?))),
            Step::Create(new) => self.on_devices(move |devices| devices.create(&new)).await,
            Step::Scrub(place) => self.scrub(volume, place).await,
            Step::Configure(place, mode) => {
                self.journal.set(volume, Done::Nothing);
                let next = self.on_devices(move |devices| devices.configure(&name, mode)).await?;
                self.journal.set(volume, Done::Configured(place));
                Ok(next)
            }
            Step::Erase(place) => Ok(Next::Decide(Box::new(self.erase(volume.clone(), place).await?))),
            Step::Destroy => self.on_devices(move |devices| devices.destroy(&name)).await,
            Step::Release => {
                self.record.release(volume).await?;
                self.journal.forget(volume);
                Ok(Next::Done(Outcome::Released))
            }
            Step::Idle | Step::Refuse(_) | Step::Choose(_) | Step::Report(_) | Step::BeginErase(_) | Step::Wait(_) => {
                Ok(Next::Done(Outcome::Settled))
            }
        }
    }

    /// Writes the status that a step leads to.
    async fn write(&self, step: &Step, volume: &PmemVolume, status: PmemVolumeStatus) -> Result<Next, WorkError> {
        let is_new = volume.status.as_ref() != Some(&status);
        let blocked = match step {
            Step::Wait(blocked) => Some(blocked),
            _ => None,
        };
        if let (Some(blocked), true) = (blocked, is_new) {
            let volume = volume.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(volume, reason = blocked.reason(), "{blocked}");
        }
        let written = if is_new {
            self.record.write(volume, status).await?
        } else {
            volume.clone()
        };
        Ok(match blocked {
            Some(_) => Next::Done(Outcome::Waiting),
            None => Next::Decide(Box::new(written)),
        })
    }

    async fn on_devices(
        &self,
        change: impl FnOnce(&dyn Devices) -> Result<(), DeviceError> + Send + 'static,
    ) -> Result<Next, WorkError> {
        let devices = self.layout.devices();
        spawn_blocking(move || change(&*devices)).await??;
        Ok(Next::Look)
    }

    async fn scrub(&self, volume: &PmemVolume, place: Place) -> Result<Next, WorkError> {
        self.journal.set(volume, Done::Nothing);
        let devices = self.layout.devices();
        let name = volume.metadata.name.clone().unwrap_or_default();
        let progress = Progress::new(self.stop.clone());
        spawn_blocking(move || -> Result<(), WorkError> { Ok(scrub(&*devices.open_raw(&name)?, &progress)?) })
            .await??;
        self.journal.set(volume, Done::Zeroed(place));
        Ok(Next::Decide(Box::new(volume.clone())))
    }

    /// Writes what failed into the volume's conditions, and logs it if that is new.
    async fn note(&self, volume: &PmemVolume, error: &WorkError) -> Result<(), WorkError> {
        let before = volume.status.clone().unwrap_or_default();
        let is_deleted = volume.metadata.deletion_timestamp.is_some();
        let message = chain(error);
        let status = says::stuck(&before, is_deleted, error.reason(), message.clone(), Timestamp::now());
        if status != before {
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            tracing::warn!(volume = name, error = message, "a step failed; it will be repeated");
            self.record.write(volume, status).await?;
        }
        Ok(())
    }
}
