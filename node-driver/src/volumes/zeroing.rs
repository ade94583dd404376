//! The bytes of a volume become zero, and what this process knows of them.

use std::ops::ControlFlow;

use crds::{EraseProgress, PmemVolume};
use program::spawn_blocking;

use super::error::StepError;
use super::record::Record;
use super::worker::{Next, Worker, name};
use super::zero::byte_state::{ByteState, Location};
use super::zero::erasure::Erasure;
use super::zero::pass::{ZeroError, Zeroed, scrub};
use super::zero::progress::Progress;
use crate::devices::Stage;

impl<R: Record> Worker<R> {
    /// Reads every byte of the volume, and writes zeros where something else is.
    pub(super) async fn scrub(&self, volume: &PmemVolume, location: Location) -> Result<Next, StepError> {
        let id = name(volume).to_owned();
        self.bytes.forget(&id);
        let devices = self.layout.devices();
        let opened = id.clone();
        let progress = Progress::new(self.stop.clone());
        let zeroed = spawn_blocking(move || -> Result<Zeroed, StepError> {
            Ok(scrub(&*devices.open_raw(&opened)?, &progress)?)
        });
        self.note_zeroed(&id, location, zeroed.await??);
        Ok(Next::Plan(Box::new(volume.clone())))
    }

    /// Writes zeros over every byte of the volume, once no other erasure is at work in the region that goes as fast as it can: one that
    /// may not keeps nobody waiting. One that was interrupted goes on where it was.
    pub(super) async fn erase(&self, volume: &str, location: Location) -> Result<(), StepError> {
        tracing::info!(volume, region = %location.region, "erasing");
        self.bytes.forget(volume);
        let rate = self.rates.of(volume);
        let turn = async {
            match rate {
                Some(_) => None,
                None => Some(self.erasing.lock(location.region.clone()).await),
            }
        };
        let Some(_turn) = self.stop.run_until_cancelled(turn).await else {
            return Err(ZeroError::Stopped.into());
        };
        drop(self.sweeps.make_room(&location.region).await);
        let progress = Progress::new(self.stop.clone()).at_most(rate);
        let mut erasure = Erasure::start(self.layout.devices(), volume.to_owned(), progress);
        let begun = erasure.begun();
        let total = location.extent.size;
        let progressed = |done| self.erasures.progressed(volume, EraseProgress { done, total }, begun);
        let ended = loop {
            match erasure.progress().await {
                Ok(ControlFlow::Continue(done)) => progressed(done),
                Ok(ControlFlow::Break(zeroed)) => break Ok(zeroed),
                Err(failed) => break Err(failed),
            }
        };
        progressed(erasure.zeroed());
        self.note_zeroed(volume, location, ended?);
        self.rates.set(volume, None);
        Ok(())
    }

    /// Its object, which says how fast it may be erased, goes before that begins.
    pub(super) fn note_rate(&self, volume: &PmemVolume, stage: Stage) {
        if stage == Stage::Erasing {
            self.rates.set(name(volume), volume.spec.erase_rate);
        }
    }

    fn note_zeroed(&self, volume: &str, location: Location, zeroed: Zeroed) {
        let state = match zeroed {
            Zeroed::All => ByteState::Zero(location),
            Zeroed::AllBut { first, size } => {
                let region = &location.region;
                tracing::warn!(volume, %region, %first, %size, "bad blocks that cannot be zeroed: the namespace stays out of use");
                ByteState::Bad(location)
            }
        };
        self.bytes.set(volume, state);
    }
}
