//! Waiting for conditions.

use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};
use tokio::time::{Instant, sleep, timeout_at};

use super::progress::human;

/// Only ends a run that hangs: many times what anything takes, also on a machine with much else to do.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(15 * 60);
const PAUSE: Duration = Duration::from_millis(200);
/// How often the terminal shows what is still missing.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Characters of a reason that are printed while waiting; an error has all of them.
const REPORTED: usize = 200;

/// What a probe found.
pub(crate) enum Probe<T> {
    /// The condition holds.
    Ready(T),
    /// It does not hold yet, for this reason.
    NotYet(Error),
    /// It will never hold.
    Never(Error),
}

impl<T> From<Result<T>> for Probe<T> {
    /// Takes every error for one that may pass.
    fn from(result: Result<T>) -> Self {
        result.map_or_else(Self::NotYet, Self::Ready)
    }
}

/// Calls `probe` until it is ready, or fails with its last reason after `limit`. Each minute it prints what is missing.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Probe<T>,
{
    let begun = Instant::now();
    let mut next_report = begun + REPORT_EVERY;
    let mut last = anyhow!("no answer");
    while let Ok(found) = timeout_at(begun + limit, probe()).await {
        match found {
            Probe::Ready(found) => return Ok(found),
            Probe::Never(error) => return Err(error).with_context(|| what.to_owned()),
            Probe::NotYet(error) => last = error,
        }
        if Instant::now() >= next_report {
            next_report += REPORT_EVERY;
            eprintln!(
                "  not yet after {}: {what}: {}",
                human(begun.elapsed()),
                shortened(&last)
            );
        }
        if begun.elapsed() > limit {
            break;
        }
        sleep(PAUSE).await;
    }
    Err(last).with_context(|| format!("{what}: not within {limit:?}"))
}

/// The beginning of a reason, on one line.
fn shortened(reason: &Error) -> String {
    let words = format!("{reason:#}");
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(REPORTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn asks_again_until_ready() {
        let mut asked = 0;
        let answer = until("a number", Duration::from_secs(60), async || {
            asked += 1;
            if asked < 5 {
                Probe::NotYet(anyhow!("only {asked}"))
            } else {
                Probe::Ready(asked)
            }
        });
        assert_eq!(answer.await.unwrap(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_last_reason() {
        let never: Result<()> = until("a number", Duration::from_secs(3), async || {
            Probe::NotYet(anyhow!("still nothing"))
        })
        .await;
        assert_eq!(
            format!("{:#}", never.unwrap_err()),
            "a number: not within 3s: still nothing"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_does_not_hang_the_run() {
        let never: Result<()> = until("a number", Duration::from_secs(3), async || {
            std::future::pending::<Probe<()>>().await
        })
        .await;
        assert_eq!(
            format!("{:#}", never.unwrap_err()),
            "a number: not within 3s: no answer"
        );
    }

    #[test]
    fn a_long_reason_is_one_short_line() {
        assert_eq!(shortened(&anyhow!("a\n  b")), "a b");
        let long = shortened(&anyhow!("ä".repeat(300)));
        assert_eq!(long.chars().count(), REPORTED + 1);
    }
}
