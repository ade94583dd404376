//! What a `PersistentVolumeClaim` asks for.

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use placement::VolumeRequest;

use crate::{ClassParameters, NotAQuantity, bytes_of_quantity};

/// A claim whose size cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// There is no storage request.
    #[error("the claim requests no storage: set spec.resources.requests.storage")]
    NoRequest,
    /// The request or the limit is no number of bytes.
    #[error(transparent)]
    Quantity(#[from] NotAQuantity),
}

/// What a claim in a class with `parameters` asks of a node.
///
/// # Errors
/// If the claim has no storage request, or one that is no number of bytes.
pub fn want_of_claim(
    spec: &PersistentVolumeClaimSpec,
    parameters: &ClassParameters,
) -> Result<VolumeRequest, ClaimError> {
    let resources = spec.resources.as_ref();
    let request = resources
        .and_then(|r| r.requests.as_ref())
        .and_then(|r| r.get("storage"));
    let limit = resources.and_then(|r| r.limits.as_ref()).and_then(|r| r.get("storage"));
    let required = bytes_of_quantity(request.ok_or(ClaimError::NoRequest)?)?;
    let limit = limit
        .map(|quantity: &Quantity| bytes_of_quantity(quantity))
        .transpose()?;
    Ok(parameters.request(required, limit))
}
