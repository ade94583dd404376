//! What a killed run left disabled is brought up when the driver starts.

use std::sync::Arc;
use std::time::Duration;

use program::spawn_blocking;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::ListError;
use crate::devices::Devices;

const AFTER_ERROR: Duration = Duration::from_secs(5);

/// Calls [`Devices::bring_up`] once. If the devices cannot be listed now, the returned task repeats it until they can, or until
/// `stop`; dropping the set ends it.
pub async fn bring_up(devices: Arc<dyn Devices>, stop: &CancellationToken) -> JoinSet<()> {
    let mut later = JoinSet::new();
    if !is_done(&devices).await {
        let stop = stop.clone();
        later.spawn(async move {
            while stop.run_until_cancelled(sleep(AFTER_ERROR)).await.is_some() {
                if is_done(&devices).await {
                    return;
                }
            }
        });
    }
    later
}

async fn is_done(devices: &Arc<dyn Devices>) -> bool {
    match try_once(Arc::clone(devices)).await {
        Ok(()) => true,
        Err(error) => {
            let error = program::chain(&error);
            tracing::warn!(
                error,
                "cannot look for volumes that were left disabled; it will be repeated"
            );
            false
        }
    }
}

async fn try_once(devices: Arc<dyn Devices>) -> Result<(), ListError> {
    Ok(spawn_blocking(move || devices.bring_up()).await??)
}
