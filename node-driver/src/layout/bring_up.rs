//! What a killed run left disabled is brought up when the driver starts, and what this run could not enable is tried again.

use std::sync::Arc;
use std::time::Duration;

use program::spawn_blocking;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ListError;
use crate::devices::{BringUp, Devices};

const TRY_EVERY: Duration = Duration::from_secs(5);

/// Calls [`Devices::bring_up`] once for all namespaces. The returned task repeats that if the devices cannot be listed now, and
/// goes on with what could not be enabled, until `stop`; dropping the set ends it.
pub async fn bring_up(devices: Arc<dyn Devices>, stop: &CancellationToken) -> JoinSet<()> {
    let mut which = next(&devices, BringUp::All).await;
    let stop = stop.clone();
    let mut later = JoinSet::new();
    later.spawn(async move {
        while stop.run_until_cancelled(sleep(TRY_EVERY)).await.is_some() {
            which = next(&devices, which).await;
        }
    });
    later
}

/// Tries it, and returns what is to be tried the next time.
async fn next(devices: &Arc<dyn Devices>, which: BringUp) -> BringUp {
    match try_once(Arc::clone(devices), which).await {
        Ok(()) => BringUp::LeftDisabled,
        Err(error) => {
            let error = program::chain(&error);
            tracing::warn!(
                error,
                "cannot look for volumes that were left disabled; it will be repeated"
            );
            which
        }
    }
}

async fn try_once(devices: Arc<dyn Devices>, which: BringUp) -> Result<(), ListError> {
    Ok(spawn_blocking(move || devices.bring_up(which)).await??)
}
