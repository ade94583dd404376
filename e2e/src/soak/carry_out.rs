//! A part of a volume's life, interrupted or not, until it is done.

use anyhow::{Context, Result};

use super::crash_points::Course;
use super::ending::{Ending, Fault};
use super::finding::Finding;
use super::layout::{Presence, Subject};
use super::matrix::Outcome;
use super::part::Part;
use super::program::{self, Done, Ended};
use super::session::Session;
use super::volume::Volume;
use crate::harness::test_vm::Inventory;

/// Of so many first tries, one is left alone.
const LEFT_ALONE_ONE_IN: u8 = 8;
/// Of so many repetitions, one is interrupted as well.
const AGAIN_ONE_IN: u8 = 4;
/// Of so many faults, one is a power cut: it costs a boot.
const POWER_CUT_ONE_IN: u8 = 4;
/// Of so many volumes whose making was interrupted, one is given up.
const GIVEN_UP_ONE_IN: u8 = 6;
/// Tries that may be interrupted.
const INTERRUPTED_TRIES: u32 = 3;

/// A call of the program.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// What it does.
    pub(super) part: Part,
    /// To what.
    pub(super) volume: Volume,
    /// Its arguments.
    pub(super) arguments: String,
}

/// How it came to an end.
#[derive(Debug)]
pub(super) enum Finished {
    /// The program said that it was done.
    Done(Done),
    /// After an interruption, nothing was left to do.
    AlreadyDone,
    /// After an interruption, nobody wants it any more.
    GivenUp,
}

impl Work {
    fn subject(&self) -> Subject<'_> {
        let presence = match self.part {
            Part::Make | Part::Erase | Part::Sweep => Presence::Possible,
            Part::HandOut | Part::UseAgain | Part::Write => Presence::Certain,
        };
        let name = &self.volume.name;
        Subject { name, presence }
    }

    fn course(&self) -> Course {
        (self.part, self.volume.kind.is_block())
    }

    /// How many effects of one name it has, at least: zeros are written MiB by MiB.
    fn repeats(&self) -> u64 {
        self.volume.required.get_u64() >> 20
    }
}

impl Session {
    /// Has the program do its work, interrupts it now and then, checks what that left, and has it do the rest.
    pub(super) async fn finish(&mut self, work: &Work) -> Result<Finished> {
        let mut tries = 0;
        loop {
            let ending = self.draw_ending(work, tries);
            tries += 1;
            match program::run(&self.vm, &work.arguments, ending.as_ref()).await? {
                Ended::Done(done) => {
                    if tries == 1 && ending.is_none() {
                        self.points.learn(work.course(), &done.effects, done.time);
                    }
                    self.settle(done.effects.is_empty());
                    return Ok(Finished::Done(done));
                }
                Ended::Failed(why) => return Err(Finding::stuck(why).into()),
                Ended::Killed | Ended::Stopped => {
                    let ending = ending.context("nobody interrupted it")?;
                    if let Some(finished) = self.interrupted(work, ending).await? {
                        return Ok(finished);
                    }
                }
            }
        }
    }

    fn draw_ending(&mut self, work: &Work, tries: u32) -> Option<Ending> {
        let is_interrupted = match tries {
            0 => self.rng.u8(..LEFT_ALONE_ONE_IN) > 0,
            1..INTERRUPTED_TRIES => self.rng.u8(..AGAIN_ONE_IN) == 0,
            _ => return None,
        };
        let fault = self.draw_fault();
        if !is_interrupted {
            return None;
        }
        self.points.draw(work.course(), fault, work.repeats(), &mut self.rng)
    }

    /// SIGKILL or a power cut.
    pub(super) fn draw_fault(&mut self) -> Fault {
        match self.rng.u8(..POWER_CUT_ONE_IN) {
            0 => Fault::PowerCut,
            _ => Fault::Kill,
        }
    }

    /// Takes note of the outcome of all interruptions of a work that is finished now.
    pub(super) fn settle(&mut self, was_nothing_left: bool) {
        let last = self.pending.pop();
        for ending in self.pending.drain(..) {
            self.matrix.count(&ending, Outcome::ByRepeating);
        }
        if let Some(ending) = last {
            let outcome = if was_nothing_left {
                Outcome::ByItself
            } else {
                Outcome::ByRepeating
            };
            self.matrix.count(&ending, outcome);
        }
    }

    /// Checks what an interruption left. What was wanted may be done by then, or not be wanted any more.
    async fn interrupted(&mut self, work: &Work, ending: Ending) -> Result<Option<Finished>> {
        let is_named = ending.is_named();
        let seen = self.check_after(ending, Some(work.subject())).await?;
        let is_there = seen.named(&work.volume.name).is_ok();
        self.what_is_left(work, is_there, is_named).await
    }

    /// Takes note of an interruption, whose outcome is open, and checks what it left.
    pub(super) async fn check_after(&mut self, ending: Ending, subject: Option<Subject<'_>>) -> Result<Inventory> {
        self.log.line(&format!("       {}: {ending}", ending.point.part))?;
        self.points.happened(&ending);
        let fault = ending.fault;
        self.pending.push(ending);
        match fault {
            Fault::Kill => {
                self.counts.sigkills += 1;
                self.after_sigkill(subject).await
            }
            Fault::PowerCut => {
                self.counts.power_cuts += 1;
                self.after_power_cut(subject).await
            }
        }
    }

    /// Only what the seed decides may lead to another end than the one that was wanted.
    async fn what_is_left(&mut self, work: &Work, is_there: bool, is_named: bool) -> Result<Option<Finished>> {
        match work.part {
            Part::Erase if !is_there => {
                self.settle(true);
                Ok(Some(Finished::AlreadyDone))
            }
            Part::Make if is_named && self.rng.u8(..GIVEN_UP_ONE_IN) == 0 => {
                self.give_up(&work.volume.name, is_there).await?;
                self.settle(!is_there);
                Ok(Some(Finished::GivenUp))
            }
            Part::Make | Part::HandOut | Part::UseAgain | Part::Write | Part::Erase | Part::Sweep => Ok(None),
        }
    }

    /// Erases what there is of a volume that nobody ever had.
    async fn give_up(&mut self, name: &str, is_there: bool) -> Result<()> {
        self.log.line("       it is given up")?;
        if !is_there {
            return Ok(());
        }
        match program::run(&self.vm, &format!("delete --destroy-data {name}"), None).await? {
            Ended::Done(_) => Ok(()),
            other => Err(Finding::stuck(format!("{name} cannot be given up: {other:?}")).into()),
        }
    }
}
