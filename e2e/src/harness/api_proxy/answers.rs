//! What a program asked for, and how it was answered.

use anyhow::{Result, anyhow};
use http::StatusCode;
use tokio::sync::watch;

use super::asked::Asked;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Every request of a program that was answered, with the status of the answer. Also watches, from their beginning.
#[derive(Debug, Default)]
pub(super) struct Answers(watch::Sender<Vec<(Asked, StatusCode)>>);

/// How many answers there were when it was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Answers {
    pub(super) fn add(&self, asked: Asked, status: StatusCode) {
        tracing::debug!(?asked, %status, "answered");
        self.0.send_modify(|answers| answers.push((asked, status)));
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.0.borrow().len())
    }

    /// Waits for an answer after `mark` to something that `is_it`.
    pub(super) async fn since(&self, mark: Mark, what: &str, is_it: impl Fn(&Asked, StatusCode) -> bool) -> Result<()> {
        until(what, HANG_LIMIT, async || {
            let answers = self.0.borrow();
            let mut later = answers.iter().skip(mark.0);
            if later.any(|(asked, status)| is_it(asked, *status)) {
                Probe::Ready(())
            } else {
                Probe::NotYet(anyhow!("nothing of the kind was answered"))
            }
        })
        .await
    }
}
