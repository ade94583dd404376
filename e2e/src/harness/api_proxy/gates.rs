//! Writes that are held: before the API server has got them, or before its answer goes back.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::asked::Asked;
use crate::harness::wait::HANG_LIMIT;

/// On which side of the API server a write is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The API server has not got it.
    Before,
    /// It is done, and the program does not know.
    After,
}

/// What becomes of a write that was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// An error is answered, whatever happened.
    Fail,
}

type Matches = Box<dyn Fn(&Asked) -> bool + Send + Sync>;

/// The first write that matches is held by it; later ones pass.
struct Gate {
    when: When,
    matches: Matches,
    reached: oneshot::Sender<()>,
    verdict: oneshot::Receiver<Verdict>,
}

/// The gates of one program.
#[derive(Default)]
pub(super) struct Gates(Mutex<Vec<Gate>>);

/// A write that is, or will be, held. It goes on when this is dropped.
#[derive(Debug)]
pub(crate) struct HeldWrite {
    what: String,
    reached: oneshot::Receiver<()>,
    verdict: oneshot::Sender<Verdict>,
}

/// A write at a gate.
pub(super) struct AtGate {
    pub(super) when: When,
    reached: oneshot::Sender<()>,
    verdict: oneshot::Receiver<Verdict>,
}

impl Gates {
    /// Holds the next write that `matches`.
    pub(super) fn add(&self, what: &str, when: When, matches: Matches) -> HeldWrite {
        let (reached, is_reached) = oneshot::channel();
        let (decide, verdict) = oneshot::channel();
        let gate = Gate {
            when,
            matches,
            reached,
            verdict,
        };
        self.lock().push(gate);
        HeldWrite {
            what: what.to_owned(),
            reached: is_reached,
            verdict: decide,
        }
    }

    /// The gate that holds this write, if one does. Nobody opens a gate that its scenario has dropped.
    pub(super) fn take(&self, asked: &Asked) -> Option<AtGate> {
        let mut gates = self.lock();
        gates.retain(|gate| !gate.reached.is_closed());
        let position = gates.iter().position(|gate| (gate.matches)(asked))?;
        let Gate {
            when, reached, verdict, ..
        } = gates.remove(position);
        Some(AtGate { when, reached, verdict })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Gate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gates").field(&self.lock().len()).finish()
    }
}

impl AtGate {
    /// Tells the scenario that the write is held, and waits for what it decides.
    pub(super) async fn wait(self) -> Verdict {
        // Who is not there any more decides nothing.
        let _unheard = self.reached.send(());
        self.verdict.await.unwrap_or(Verdict::GoOn)
    }
}

impl HeldWrite {
    /// Waits until a write is held.
    pub(crate) async fn reached(&mut self) -> Result<()> {
        let reached = timeout(HANG_LIMIT, &mut self.reached).await;
        let reached = reached.with_context(|| format!("{}: no such write within {HANG_LIMIT:?}", self.what))?;
        reached.with_context(|| format!("{}: another gate was set", self.what))
    }

    /// Answers an error, as if the way to the API server had broken.
    pub(crate) fn fail(self) {
        // A program that was killed meanwhile hears nothing.
        let _unheard = self.verdict.send(Verdict::Fail);
    }
}
