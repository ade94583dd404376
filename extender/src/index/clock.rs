//! Tells the index what time it is, so that promises end. Not with every call: there may be thousands of promises.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::SharedIndex;

const TICK: Duration = Duration::from_secs(1);

/// Ticks until `stop`.
pub async fn keep_time(index: SharedIndex, stop: CancellationToken) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ticking = async {
        loop {
            ticks.tick().await;
            index.write().tick(Instant::now());
        }
    };
    stop.run_until_cancelled(ticking).await;
}
