//! What matters of a claim.

use crds::{ClassParameters, want_of_claim};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use placement::Bytes;

/// Set by kube-scheduler when it has chosen a node for an unbound claim, removed when the volume cannot be made there
/// (`AnnSelectedNode` of k8s.io/component-helpers).
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// What external-provisioner puts before the unique id of a claim, unless told otherwise.
const VOLUME_PREFIX: &str = "pvc-";

/// What matters of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its unique id.
    pub uid: Box<str>,
    /// Its class, if it has one.
    pub class: Option<Box<str>>,
    /// Usable bytes that it asks for, at least and at most; or why they cannot be understood.
    pub size: Result<(Bytes, Option<Bytes>), Box<str>>,
    /// The `PersistentVolume` that it is bound to.
    pub volume: Option<Box<str>>,
    /// The node that the scheduler chose for it.
    pub selected_node: Option<Box<str>>,
    /// The unique id of the pod that it was made with.
    pub owner_pod: Option<Box<str>>,
}

impl Claim {
    /// The name of the volume that external-provisioner asks for (`makeVolumeName`, with its default prefix), which is
    /// also the name of the `PmemVolume`.
    #[must_use]
    pub fn name_of_volume(&self) -> String {
        format!("{VOLUME_PREFIX}{}", self.uid)
    }

    /// The unique id of the claim that a volume of that name was made for, if it has such a name.
    #[must_use]
    pub fn uid_in_name_of_volume(name: &str) -> Option<&str> {
        name.strip_prefix(VOLUME_PREFIX)
    }
}

impl From<&PersistentVolumeClaim> for Claim {
    fn from(claim: &PersistentVolumeClaim) -> Self {
        let nothing = PersistentVolumeClaimSpec::default();
        let spec = claim.spec.as_ref().unwrap_or(&nothing);
        Self {
            uid: claim.metadata.uid.as_deref().unwrap_or_default().into(),
            class: non_empty(spec.storage_class_name.as_ref()),
            size: size_of(spec),
            volume: non_empty(spec.volume_name.as_ref()),
            selected_node: non_empty(claim.annotations().get(SELECTED_NODE)),
            owner_pod: owner_pod(claim),
        }
    }
}

/// A want has more to it than a size, but that is for the class to say, which may come later.
fn size_of(spec: &PersistentVolumeClaimSpec) -> Result<(Bytes, Option<Bytes>), Box<str>> {
    let request = want_of_claim(spec, &ClassParameters::default());
    request
        .map(|request| (request.required, request.limit))
        .map_err(|error| error.to_string().into())
}

fn non_empty(text: Option<&String>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.as_str().into())
}

fn owner_pod(claim: &PersistentVolumeClaim) -> Option<Box<str>> {
    let owners = claim.owner_references();
    let owner = owners
        .iter()
        .find(|owner| owner.kind == "Pod" && owner.controller == Some(true));
    owner.map(|owner| owner.uid.as_str().into())
}
