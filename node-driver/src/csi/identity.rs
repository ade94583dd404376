//! The CSI Identity service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::csi::v1::GetPluginInfoResponse;
use ::csi::{IdentityService, Readiness};
use crds::DRIVER_NAME;

use crate::devices::Devices;

/// Ready once the devices could be listed: a later listing that fails leaves the mounted volumes as they are.
pub struct DeviceReadiness {
    devices: Arc<dyn Devices>,
    listed: AtomicBool,
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
            listed: AtomicBool::new(false),
        }
    }
}

impl Readiness for DeviceReadiness {
    async fn is_ready(&self) -> bool {
        if self.listed.load(Ordering::Relaxed) {
            return true;
        }
        let devices = Arc::clone(&self.devices);
        match program::spawn_blocking(move || devices.inventory()).await {
            Ok(Ok(_)) => self.listed.store(true, Ordering::Relaxed),
            Ok(Err(error)) => tracing::warn!(
                error = program::chain(&error),
                "not ready: the devices cannot be listed"
            ),
            Err(error) => tracing::error!(
                error = program::chain(&error),
                "not ready: listing the devices ended abruptly"
            ),
        }
        self.listed.load(Ordering::Relaxed)
    }
}
