//! The PmemVolume that CreateVolume writes.

use crds::{PmemVolume, PmemVolumeSpec};

use crate::controller::choose::ChosenNode;
use crate::controller::request::CreateRequest;

/// The volume that `request` asks for, on `chosen`. It has no finalizer: only what is deleted in order to be erased has one.
pub fn pmem_volume(request: &CreateRequest, chosen: ChosenNode) -> PmemVolume {
    let spec = PmemVolumeSpec {
        node: chosen.node,
        required: request.size.required,
        limit: request.size.limit,
        mode: request.parameters.mode,
        map: request.parameters.map,
        numa: chosen.numa,
        erase: request.parameters.erase,
        erase_rate: request.parameters.erase_rate,
        claim: request.claim.clone(),
    };
    PmemVolume::new(request.id.as_str(), spec)
}
