//! The PmemVolume that CreateVolume writes.

use crds::{FINALIZER, PmemVolume, PmemVolumeSpec};

use crate::controller::choose::ChosenNode;
use crate::controller::request::CreateRequest;

/// The volume that `request` asks for, on `chosen`.
pub fn pmem_volume(request: &CreateRequest, chosen: ChosenNode) -> PmemVolume {
    let spec = PmemVolumeSpec {
        node: chosen.node,
        required: request.size.required,
        limit: request.size.limit,
        mode: request.parameters.mode,
        map: request.parameters.map,
        numa: chosen.numa,
        erase: request.parameters.erase,
        claim: request.claim.clone(),
    };
    let mut volume = PmemVolume::new(request.id.as_str(), spec);
    volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
    volume
}
