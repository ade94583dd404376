//! Waiting for conditions.

use std::time::Duration;

use anyhow::{Context, Error, Result};
use http::Request;
use kube::Client;
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(200);

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

/// Asks `probe` until it answers, or fails with its last reason after `limit`.
///
/// The limit only ends a run that hangs: it should be many times what is expected.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Probe<T>,
{
    let start = Instant::now();
    loop {
        match probe().await {
            Probe::Ready(found) => return Ok(found),
            Probe::Never(error) => return Err(error).with_context(|| what.to_owned()),
            Probe::NotYet(error) if start.elapsed() > limit => {
                return Err(error).with_context(|| format!("{what}: not within {limit:?}"));
            }
            Probe::NotYet(_) => sleep(PAUSE).await,
        }
    }
}

/// Asks an HTTP server that `client` was made for; any answer but success is an error.
pub(crate) async fn get(client: &Client, path: &str) -> Result<()> {
    let request = Request::get(path).body(Vec::new())?;
    client.request_text(request).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

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
}
