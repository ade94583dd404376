//! What matters of a claim.

use crds::{NotAQuantity, bytes_of_quantity};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};
use placement::{Bytes, VolumeRequest};

use crate::access_mode::mode_names;
use crate::class::class_name;
use crate::names::{SELECTED_NODE, VOLUME_PREFIX};
use crate::{
    AccessMode, AccessModeError, AvailableVolume, ClassError, ForeignTopologies, MountOptionError, ObjectKey, OurClass,
    PodClaim, Size, SizeError, Unsupported,
};

/// What matters of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its unique id: a claim of the same name that is made later has another.
    pub uid: Box<str>,
    /// The name of its class; none for a claim that wants no class, or has none yet.
    pub class: Option<Box<str>>,
    /// The name of the `PersistentVolume` that it is bound to.
    pub persistent_volume: Option<Box<str>>,
    /// The node that kube-scheduler chose for its volume.
    pub selected_node: Option<Box<str>>,
    /// The unique id of its controller, which is the pod that it was made for if it is an ephemeral claim.
    pub controller: Option<Box<str>>,
    /// Usable bytes that it requests, and their limit.
    size: Result<(Bytes, Option<Bytes>), ClaimError>,
    access: Result<(), AccessModeError>,
    supported: Result<(), Unsupported>,
    is_block: bool,
    access_modes: Vec<Box<str>>,
    attributes_class: Box<str>,
    /// What the labels of a volume that exists have to be like; none if no labels match it.
    selector: Option<Box<Selector>>,
}

/// Why there can be no volume for a claim, whatever space there is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// One of its access modes.
    #[error(transparent)]
    AccessMode(#[from] AccessModeError),
    /// What it asks for besides space.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The nodes that its class allows.
    #[error(transparent)]
    Topologies(#[from] ForeignTopologies),
    /// A parameter of its class.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// A mount option of its class.
    #[error(transparent)]
    MountOption(#[from] MountOptionError),
    /// It has no storage request.
    #[error("the claim requests no storage: set spec.resources.requests.storage")]
    NoRequest,
    /// Its storage request or limit is not a number of bytes.
    #[error(transparent)]
    Quantity(#[from] NotAQuantity),
    /// Its size, with the file system that it gets.
    #[error(transparent)]
    Size(#[from] SizeError),
}

impl Claim {
    /// The name of the volume that external-provisioner asks for (`makeVolumeName`), which is also the name of the
    /// PmemVolume.
    #[must_use]
    pub fn volume_name(&self) -> String {
        Self::volume_name_of(&self.uid)
    }

    /// The name of the volume of the claim with this unique id.
    #[must_use]
    pub fn volume_name_of(uid: &str) -> String {
        format!("{VOLUME_PREFIX}{uid}")
    }

    /// The unique id of the claim that a volume of that name was made for; none if external-provisioner did not name it.
    #[must_use]
    pub fn uid_in_volume_name(name: &str) -> Option<&str> {
        name.strip_prefix(VOLUME_PREFIX)
    }

    /// The `PersistentVolume` that it is bound to, if that was not made for it: external-provisioner calls what it makes as
    /// [`volume_name`](Self::volume_name) says.
    #[must_use]
    pub fn volume_not_made_for_it(&self) -> Option<&str> {
        let bound = self.persistent_volume.as_deref();
        bound.filter(|volume| Self::uid_in_volume_name(volume) != Some(&*self.uid))
    }

    /// Whether this claim, found by the key of `claim`, is the one that the pod with unique id `pod` means. An ephemeral
    /// claim has to be controlled by its pod: one of the same name that somebody else made is not the pod's (KEP-1698,
    /// `VolumeIsForPod` of k8s.io/component-helpers).
    #[must_use]
    pub fn is_meant_by(&self, pod: &str, claim: &PodClaim) -> bool {
        !claim.ephemeral || self.controller.as_deref() == Some(pod)
    }

    /// Usable bytes that its volume may have at most, if it says so in a way that can be read.
    #[must_use]
    pub fn limit(&self) -> Option<Bytes> {
        let (_, limit) = self.size.as_ref().ok()?;
        *limit
    }

    /// Whether the claim, of this key, can be bound to a volume that is kept for it (`FindMatchingVolume` of
    /// k8s.io/component-helpers).
    #[must_use]
    pub fn has_been_kept(&self, key: &ObjectKey, volume: &AvailableVolume) -> bool {
        let kept_for = volume.kept_for.as_ref();
        let is_for_it = kept_for.is_some_and(|(of, uid)| of == key && uid.as_ref().is_none_or(|uid| *uid == self.uid));
        is_for_it && self.has_room_in(volume)
    }

    /// Whether the claim can be bound to a volume that is kept for nobody (`FindMatchingVolume`), wherever that is.
    #[must_use]
    pub fn matches(&self, volume: &AvailableVolume) -> bool {
        let mut modes = self.access_modes.iter();
        volume.kept_for.is_none()
            && self.has_room_in(volume)
            && self.class.as_deref().unwrap_or_default() == &*volume.class
            && self
                .selector
                .as_ref()
                .is_some_and(|selector| selector.matches(&volume.labels))
            && modes.all(|mode| volume.access_modes.contains(mode))
    }

    fn has_room_in(&self, volume: &AvailableVolume) -> bool {
        self.requested().is_some_and(|requested| requested <= volume.capacity)
            && self.is_block == volume.is_block
            && self.attributes_class == volume.attributes_class
    }

    /// What it requests, for comparison; none if that cannot be read.
    #[must_use]
    pub fn requested(&self) -> Option<Bytes> {
        match &self.size {
            Ok((required, _)) => Some(*required),
            Err(ClaimError::NoRequest) => Some(Bytes::ZERO),
            Err(_) => None,
        }
    }

    /// What a volume of `class` for this claim asks of a node. A claim that external-provisioner or CreateVolume would refuse
    /// whatever space there is, is refused here: it would keep the node that was selected for it, and the space there.
    ///
    /// # Errors
    /// There can be no such volume: the message says what to change.
    pub fn request(&self, class: &OurClass) -> Result<VolumeRequest, ClaimError> {
        self.access.clone()?;
        self.supported?;
        class.topologies?;
        let settings = class.settings.clone()?;
        if !self.is_block {
            class.mount_options.clone()?;
        }
        let (required, limit) = self.size.clone()?;
        let filesystem = (!self.is_block).then_some(settings.filesystem);
        let size = Size::new(Some(required), limit, filesystem)?;
        Ok(settings.parameters.request(size.required, size.limit))
    }
}

impl From<&PersistentVolumeClaim> for Claim {
    fn from(claim: &PersistentVolumeClaim) -> Self {
        let nothing = PersistentVolumeClaimSpec::default();
        let spec = claim.spec.as_ref().unwrap_or(&nothing);
        Self {
            uid: claim.metadata.uid.as_deref().unwrap_or_default().into(),
            class: non_empty(class_name(claim.annotations(), spec.storage_class_name.as_ref())),
            persistent_volume: non_empty(spec.volume_name.as_ref()),
            selected_node: non_empty(claim.annotations().get(SELECTED_NODE)),
            controller: controller(claim),
            size: size(spec),
            access: check_access_modes(spec),
            supported: Unsupported::check(spec),
            is_block: spec.volume_mode.as_deref() == Some("Block"),
            access_modes: mode_names(spec.access_modes.as_ref()).collect(),
            attributes_class: spec.volume_attributes_class_name.as_deref().unwrap_or_default().into(),
            selector: selector(spec),
        }
    }
}

fn non_empty(text: Option<&String>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.as_str().into())
}

/// `GetControllerOf` of k8s.io/apimachinery.
fn controller(claim: &PersistentVolumeClaim) -> Option<Box<str>> {
    let owner = claim
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true));
    owner.map(|owner| owner.uid.as_str().into())
}

fn size(spec: &PersistentVolumeClaimSpec) -> Result<(Bytes, Option<Bytes>), ClaimError> {
    let resources = spec.resources.as_ref();
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let requested = requests.and_then(|requests| requests.get("storage"));
    let limit = limits.and_then(|limits| limits.get("storage"));
    let required = bytes_of_quantity(requested.ok_or(ClaimError::NoRequest)?)?;
    Ok((required, limit.map(bytes_of_quantity).transpose()?))
}

/// One that cannot be read matches nothing.
fn selector(spec: &PersistentVolumeClaimSpec) -> Option<Box<Selector>> {
    let selector = spec.selector.clone().unwrap_or_default();
    Selector::try_from(selector).ok().map(Box::new)
}

/// The API server sees to it that there is one at least. external-provisioner asks for a volume that allows all of them.
fn check_access_modes(spec: &PersistentVolumeClaimSpec) -> Result<(), AccessModeError> {
    let mut modes = spec.access_modes.iter().flatten();
    modes.try_for_each(|mode| AccessMode::parse(mode)?.check())
}
