//! Ends reservations whose time is up. Not with every call: there may be thousands of reservations.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::SharedState;

const INTERVAL: Duration = Duration::from_secs(1);

/// Ends reservations whose time is up, once a second until `stop`.
pub async fn expire_reservations(state: SharedState, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let expiring = async {
        loop {
            ticks.tick().await;
            state.write().expire(Instant::now().into_std());
        }
    };
    stop.run_until_cancelled(expiring).await;
}
