//! What a CreateVolume call asks for.

use crds::{ClaimRef, ClassParameters, FINALIZER, ParameterError, PmemVolume, PmemVolumeSpec};
use csi::v1::CreateVolumeRequest;
use placement::VolumeRequest;

use super::choose::Place;
use super::places::{ForeignTopology, Places};
use super::size::{Size, SizeError};
use super::usage::{UsageError, filesystem_of};
use super::volume_id::VolumeId;

/// What a CreateVolume call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The id that the volume has or will have.
    pub id: VolumeId,
    /// How large it is.
    pub size: Size,
    /// Mode, map, NUMA wish and erase policy.
    pub parameters: ClassParameters,
    /// Where it may be.
    pub places: Places,
    /// The claim that it is for, if the caller says.
    pub claim: Option<ClaimRef>,
    /// The name that its `PersistentVolume` has or will have.
    pub persistent_volume: String,
}

/// Why a call cannot be understood or granted, whatever space there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It has no name.
    #[error("the volume has no name")]
    NoName,
    /// The use.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The size.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A parameter of the StorageClass.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The place.
    #[error(transparent)]
    Topology(#[from] ForeignTopology),
    /// It is to be filled with something.
    #[error("a volume cannot be made from a snapshot or another volume: remove the claim's dataSource")]
    ContentSource,
    /// It is to be changed later.
    #[error("a volume has no parameters that can change: remove the claim's volumeAttributesClassName")]
    MutableParameters,
}

impl Asked {
    /// Reads a CreateVolume call.
    ///
    /// # Errors
    /// Says what is wrong with it, and what is allowed instead.
    pub fn read(request: &CreateVolumeRequest) -> Result<Self, RequestError> {
        if request.name.is_empty() {
            return Err(RequestError::NoName);
        }
        let filesystem = filesystem_of(&request.volume_capabilities)?;
        if request.volume_content_source.is_some() {
            return Err(RequestError::ContentSource);
        }
        if !request.mutable_parameters.is_empty() {
            return Err(RequestError::MutableParameters);
        }
        let metadata = |name: &str| request.parameters.get(name).cloned();
        Ok(Self {
            id: VolumeId::of_name(&request.name),
            parameters: ClassParameters::parse(&request.parameters)?,
            size: Size::of(request.capacity_range.as_ref(), filesystem)?,
            places: Places::of(request.accessibility_requirements.as_ref())?,
            claim: metadata(PVC_NAMESPACE).zip(metadata(PVC_NAME)).map(claim_ref),
            persistent_volume: metadata(PV_NAME).unwrap_or_else(|| request.name.clone()),
        })
    }

    /// What the volume asks of a node.
    #[must_use]
    pub fn request(&self) -> VolumeRequest {
        self.parameters.request(self.size.required, self.size.limit)
    }

    /// The PmemVolume to write, in this place.
    #[must_use]
    pub fn at(&self, place: Place) -> PmemVolume {
        let spec = PmemVolumeSpec {
            node: place.node,
            required: self.size.required,
            limit: self.size.limit,
            mode: self.parameters.mode,
            map: self.parameters.map,
            numa: place.numa,
            erase: self.parameters.erase,
            claim: self.claim.clone(),
        };
        let mut volume = PmemVolume::new(self.id.as_str(), spec);
        volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
        volume
    }
}

/// What external-provisioner adds with --extra-create-metadata.
const PVC_NAME: &str = "csi.storage.k8s.io/pvc/name";
const PVC_NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";
const PV_NAME: &str = "csi.storage.k8s.io/pv/name";

fn claim_ref((namespace, name): (String, String)) -> ClaimRef {
    ClaimRef { namespace, name }
}
