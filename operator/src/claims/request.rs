//! What a claim asks for.

use crds::{ClaimError, want_of_claim};
use csi::v1::CapacityRange;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use placement::{Bytes, VolumeRequest};

use crate::controller::request::{Size, SizeError};
use crate::filesystem::Filesystem;
use crate::index::{Asks, Class, ClassError};

/// Set by the scheduler once it chose a node for the claim; taken away when the volume cannot be made there.
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// Why a claim can fit nowhere.
#[derive(Debug, thiserror::Error)]
pub enum WantError {
    /// Its class.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The size it asks for.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// That size with its file system.
    #[error(transparent)]
    Size(#[from] SizeError),
}

/// What a claim with this `spec` asks of a node.
///
/// # Errors
/// Says why there can be no such volume.
pub fn request(spec: &PersistentVolumeClaimSpec, class: &Class) -> Result<VolumeRequest, WantError> {
    let asks = class.asks.clone()?;
    let request = want_of_claim(spec, &asks.parameters)?;
    let range = CapacityRange {
        required_bytes: request.required.get(),
        limit_bytes: request.limit.map_or(0, Bytes::get),
    };
    Size::parse(Some(&range), filesystem(spec, &asks))?;
    Ok(request)
}

/// The node that the scheduler chose for a claim.
#[must_use]
pub fn selected_node(claim: &PersistentVolumeClaim) -> Option<&str> {
    non_empty(claim.annotations().get(SELECTED_NODE))
}

/// Whether a claim has its volume.
#[must_use]
pub fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
    non_empty(volume).is_some()
}

/// The name of the volume that external-provisioner asks for (`makeVolumeName`, with its default prefix), which is also
/// the name of the PmemVolume.
#[must_use]
pub fn name_of_volume(claim: &PersistentVolumeClaim) -> Option<String> {
    claim.uid().map(|uid| format!("pvc-{uid}"))
}

fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn filesystem(spec: &PersistentVolumeClaimSpec, asks: &Asks) -> Option<Filesystem> {
    (spec.volume_mode.as_deref() != Some("Block")).then_some(asks.filesystem)
}
