//! What a CreateVolume call asks for.

use cluster::names::{CLAIM_NAME, CLAIM_NAMESPACE, PERSISTENT_VOLUME_NAME};
use cluster::{Size, Unsupported};
use crds::{ClaimRef, ClassParameters, ParameterError};
use csi::v1::CreateVolumeRequest;
use placement::{Bytes, VolumeRequest};
use tonic::Code;

use super::size::{RangeError, size_of};
use super::topology::{AllowedNodes, ForeignTopology};
use super::usage::{UsageError, filesystem_of};
use crate::controller::volume_id::VolumeId;

/// What a CreateVolume call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRequest {
    /// The id that the volume has or will have.
    pub id: VolumeId,
    /// Its usable bytes.
    pub size: Size,
    /// Mode, map, NUMA wish and erase policy.
    pub parameters: ClassParameters,
    /// The nodes that it may be on.
    pub nodes: AllowedNodes,
    /// The claim that it is for; none if external-provisioner runs without --extra-create-metadata.
    pub claim: Option<ClaimRef>,
    /// The name that its `PersistentVolume` has or will have.
    pub persistent_volume: String,
}

/// Why a call cannot be understood or granted, whatever space there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// CSI requires a name.
    #[error("the volume has no name")]
    NoName,
    /// Its access mode, access type, file system or mount options.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// Its size.
    #[error(transparent)]
    Size(#[from] RangeError),
    /// A parameter of its StorageClass.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The nodes that it may be on.
    #[error(transparent)]
    Topology(#[from] ForeignTopology),
    /// What it asks for besides space.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

impl RequestError {
    /// CSI "CreateVolume Errors".
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Size(error) => error.code(),
            Self::Usage(_) => csi::UNSUPPORTED_FOR_NEW_VOLUME,
            Self::NoName | Self::Parameter(_) | Self::Topology(_) | Self::Unsupported(_) => Code::InvalidArgument,
        }
    }
}

impl CreateRequest {
    /// Reads a CreateVolume call.
    ///
    /// # Errors
    /// Says what is wrong with it, and what is allowed instead.
    pub fn parse(request: &CreateVolumeRequest) -> Result<Self, RequestError> {
        if request.name.is_empty() {
            return Err(RequestError::NoName);
        }
        let filesystem = filesystem_of(&request.volume_capabilities)?;
        if request.volume_content_source.is_some() {
            return Err(Unsupported::ContentSource.into());
        }
        if !request.mutable_parameters.is_empty() {
            return Err(Unsupported::MutableParameters.into());
        }
        let metadata = |name: &str| request.parameters.get(name).cloned();
        Ok(Self {
            id: VolumeId::of_name(&request.name),
            parameters: ClassParameters::parse(&request.parameters)?,
            size: size_of(request.capacity_range.as_ref(), filesystem)?,
            nodes: AllowedNodes::parse(request.accessibility_requirements.as_ref())?,
            claim: metadata(CLAIM_NAMESPACE).zip(metadata(CLAIM_NAME)).map(claim_ref),
            persistent_volume: metadata(PERSISTENT_VOLUME_NAME).unwrap_or_else(|| request.name.clone()),
        })
    }

    /// The same for a volume of at most `limit` usable bytes.
    ///
    /// # Errors
    /// That is less than what is required.
    pub fn with_limit(mut self, limit: Bytes) -> Result<Self, RequestError> {
        let size = Size::new(Some(self.size.required), Some(limit), None);
        self.size = size.map_err(RangeError::Size)?;
        Ok(self)
    }

    /// The space that the volume takes on a node.
    #[must_use]
    pub fn volume_request(&self) -> VolumeRequest {
        self.parameters.request(self.size.required, self.size.limit)
    }
}

fn claim_ref((namespace, name): (String, String)) -> ClaimRef {
    ClaimRef { namespace, name }
}
