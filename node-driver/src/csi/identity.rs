//! The CSI Identity service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::csi::v1::GetPluginInfoResponse;
use ::csi::{IdentityService, Readiness};
use crds::DRIVER_NAME;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::devices::Devices;

/// Who asks whether the driver is ready waits for a listing no longer than this: it takes its time where there are many
/// modules, and the kubelet starts a driver anew that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ready once the devices could be listed: a later listing that fails leaves the mounted volumes as they are.
pub struct DeviceReadiness {
    devices: Arc<dyn Devices>,
    listed: Arc<AtomicBool>,
    /// Locked while they are listed for this.
    listing: Arc<Mutex<()>>,
}

/// The Identity service of a driver for these devices, as ready as `readiness`.
#[must_use]
pub fn identity(devices: &dyn Devices, readiness: Arc<DeviceReadiness>) -> IdentityService<DeviceReadiness> {
    let info = GetPluginInfoResponse {
        name: DRIVER_NAME.into(),
        vendor_version: env!("CARGO_PKG_VERSION").into(),
        manifest: [("backend".into(), devices.backend().into())].into(),
    };
    IdentityService::new(info, readiness)
}

impl DeviceReadiness {
    /// Not ready yet: the devices are listed when somebody asks.
    #[must_use]
    pub fn new(devices: &Arc<dyn Devices>) -> Self {
        Self {
            devices: Arc::clone(devices),
            listed: Arc::default(),
            listing: Arc::default(),
        }
    }

    /// Lists the devices, unless that is under way. Goes on when nobody waits for it any more.
    async fn list(&self) {
        let Ok(turn) = Arc::clone(&self.listing).try_lock_owned() else {
            return;
        };
        let (devices, listed) = (Arc::clone(&self.devices), Arc::clone(&self.listed));
        let listing = program::spawn_blocking(move || {
            let _turn = turn;
            match devices.inventory() {
                Ok(_) => listed.store(true, Ordering::Relaxed),
                Err(error) => tracing::warn!(
                    error = program::chain(&error),
                    "not ready: the devices cannot be listed"
                ),
            }
        });
        if let Ok(Err(error)) = timeout(PATIENCE, listing).await {
            let error = program::chain(&error);
            tracing::error!(error, "not ready: listing the devices ended abruptly");
        }
    }
}

impl Readiness for DeviceReadiness {
    async fn is_ready(&self) -> bool {
        if self.listed.load(Ordering::Relaxed) {
            return true;
        }
        self.list().await;
        self.listed.load(Ordering::Relaxed)
    }
}
