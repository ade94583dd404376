//! CSI Identity: who this is, and whether it is ready.

use std::sync::Arc;

use crds::DRIVER_NAME;
use csi::v1::GetPluginInfoResponse;
use csi::{IdentityService, Readiness};

use crate::index::{Index, SharedIndex};

/// The Identity service of the operator, which is ready once `index` has been listed completely.
#[must_use]
pub fn identity(index: SharedIndex) -> IdentityService<SharedIndex> {
    let info = GetPluginInfoResponse {
        name: DRIVER_NAME.into(),
        vendor_version: env!("CARGO_PKG_VERSION").into(),
        ..GetPluginInfoResponse::default()
    };
    IdentityService::new(info, Arc::new(index))
}

impl Readiness for SharedIndex {
    async fn is_ready(&self) -> bool {
        self.read(Index::synced)
    }
}
