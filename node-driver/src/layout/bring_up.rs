//! What a killed run left disabled is brought up when the driver starts, and what this run could not enable is tried again.

use std::sync::Arc;
use std::time::Duration;

use program::spawn_blocking;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ListError;
use crate::devices::Devices;

const TRY_EVERY: Duration = Duration::from_secs(5);

/// Calls [`Devices::bring_up`], and the returned task goes on with that every few seconds until `stop`: for what could not be
/// enabled, and for regions that cannot be seen yet. Dropping the set ends it.
pub async fn bring_up(devices: Arc<dyn Devices>, stop: &CancellationToken) -> JoinSet<()> {
    try_once(&devices).await;
    let stop = stop.clone();
    let mut later = JoinSet::new();
    later.spawn(async move {
        while stop.run_until_cancelled(sleep(TRY_EVERY)).await.is_some() {
            try_once(&devices).await;
        }
    });
    later
}

async fn try_once(devices: &Arc<dyn Devices>) {
    let devices = Arc::clone(devices);
    let tried = spawn_blocking(move || devices.bring_up()).await;
    if let Err(error) = tried.map_err(ListError::from).and_then(|tried| Ok(tried?)) {
        let error = program::chain(&error);
        tracing::warn!(
            error,
            "cannot look for volumes that were left disabled; it will be repeated"
        );
    }
}
