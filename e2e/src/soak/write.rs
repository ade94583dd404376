//! Writing to a volume that is in use, interrupted or not.

use std::time::Duration;

use anyhow::{Context, Result};

use super::checks::device;
use super::content::{self, Piece};
use super::crash_points::CrashPoint;
use super::ending::{Ending, When};
use super::finding::Finding;
use super::part::Part;
use super::program::{self, Ended};
use super::session::Session;

/// Of so many writes, one is interrupted.
const INTERRUPTED_ONE_IN: u8 = 3;
/// What a write takes, about.
const TIME: Duration = Duration::from_secs(2);

impl Session {
    /// Writes to a volume. Only when all of it is on the device it has to be there.
    pub(super) async fn write(&mut self, name: &str, piece: Piece) -> Result<()> {
        self.world.pieces += 1;
        let ending = self.draw_end_of_write();
        if !self.put(name, &piece, ending.as_ref()).await? {
            // What was confirmed before is there. What nobody was told of may be anything, and is written again.
            self.check_after(ending.context("nobody interrupted it")?, None).await?;
            self.put(name, &piece, None).await?;
            self.settle(false);
        }
        self.change(name, |volume| volume.pieces.push(piece))
    }

    /// Whether it came to its end.
    async fn put(&mut self, name: &str, piece: &Piece, ending: Option<&Ending>) -> Result<bool> {
        let seen = self.look(None).await?;
        let volume = self.volume(name)?;
        let script = content::write(piece, volume, &device(volume, &seen)?, self.seed);
        self.vm
            .shell(&format!("cat >/tmp/write <<'END'\n{script}\nEND"))
            .await?;
        // Of a block volume, the beginning is written over: what was there is gone before the new is confirmed.
        self.change(name, |volume| {
            let is_block = volume.kind.is_block();
            volume.pieces.retain(|_| !is_block);
        })?;
        match program::run_any(&self.vm, "bash /tmp/write", ending).await? {
            Ended::Done(_) => Ok(true),
            Ended::Failed(why) => Err(Finding::stuck(why).into()),
            Ended::Killed | Ended::Stopped => Ok(false),
        }
    }

    fn draw_end_of_write(&mut self) -> Option<Ending> {
        let is_interrupted = self.rng.u8(..INTERRUPTED_ONE_IN) == 0;
        let (fault, moment) = (self.draw_fault(), self.rng.f64());
        is_interrupted.then(|| Ending {
            fault,
            point: CrashPoint::any_moment(Part::Write),
            when: When::Within(TIME.mul_f64(moment)),
        })
    }
}
