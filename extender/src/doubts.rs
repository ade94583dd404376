//! Looks closer at reservations that seem to be over, so that they end early and never wrongly.

use std::time::Duration;

use cluster::Claim;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::ledger::Doubt;
use crate::state::SharedState;
use crate::webhook::ObjectReader;

const INTERVAL: Duration = Duration::from_secs(1);
/// Whatever cannot be read in this time is read again later.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Once a second, reads pod and claims of each decision that seems to be over, until `stop`.
pub(crate) async fn settle_doubts(state: SharedState, reader: impl ObjectReader, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let settling = async {
        loop {
            ticks.tick().await;
            let doubts = state.read().ledger().doubtful(Instant::now().into_std());
            for doubt in doubts {
                settle_in_time(&state, &reader, &doubt).await;
            }
        }
    };
    stop.run_until_cancelled(settling).await;
}

async fn settle_in_time(state: &SharedState, reader: &impl ObjectReader, doubt: &Doubt) {
    match timeout(TIME_LIMIT, settle(state, reader, doubt)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(pod = %doubt.pod, error = program::chain(&error), "reservations stay: it cannot be read");
        }
        Err(_) => tracing::warn!(pod = %doubt.pod, "reservations stay: the API server does not answer"),
    }
}

async fn settle(state: &SharedState, reader: &impl ObjectReader, doubt: &Doubt) -> kube::Result<()> {
    // The pod first: what kube-scheduler writes after that is news, and keeps the decision.
    let pod = reader.pod(&doubt.pod).await?;
    let mut claims: Vec<Claim> = Vec::new();
    for (key, _) in &doubt.claims {
        claims.extend(reader.claim(key).await?);
    }
    state.write().look_closer(doubt, pod.as_ref(), &claims);
    Ok(())
}
