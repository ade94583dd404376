//! What is reserved, and how a claim changes it.

use std::sync::Arc;

use cluster::{ObjectKey, Pod, ServedClaims, UnprovisionedClaim};
use placement::VolumeRequest;

/// What is kept for a claim that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// The claim's name, for people.
    pub claim: ObjectKey,
    /// The unique id of the pod for the sake of which it was decided on, if that is known.
    pub pod: Option<Arc<str>>,
    /// What is kept.
    pub reserved: Reserved,
}

/// What is kept for a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The space that its volume will take.
    Space(VolumeRequest),
    /// The `PersistentVolume` of this name, which exists: kube-scheduler binds the claim to it.
    Volume(Box<str>),
}

/// What is kept for the claims of `pod` where those in `served` are bound to volumes that exist, and `claims` need space.
#[must_use]
pub fn reservations(pod: &Pod, claims: &[UnprovisionedClaim], served: &ServedClaims) -> Vec<Arc<Reservation>> {
    let pod: Arc<str> = (&*pod.uid).into();
    let space = claims.iter().map(|claim| Reservation {
        uid: claim.uid.clone(),
        claim: claim.key.clone(),
        pod: Some(pod.clone()),
        reserved: Reserved::Space(claim.request),
    });
    let volumes = served.iter().map(|(key, served)| Reservation {
        uid: served.uid.clone(),
        claim: key.clone(),
        pod: Some(pod.clone()),
        reserved: Reserved::Volume(served.volume.clone()),
    });
    space.chain(volumes).map(Arc::new).collect()
}

impl Reservation {
    /// The space that its volume will take; none if its volume exists.
    #[must_use]
    pub fn space(&self) -> Option<VolumeRequest> {
        match self.reserved {
            Reserved::Space(request) => Some(request),
            Reserved::Volume(_) => None,
        }
    }
}

/// What the cluster shows of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// It has neither a volume nor a selected node.
    Undecided,
    /// It has a selected node and no volume there yet.
    Assigned(Arc<str>, Arc<Reservation>),
    /// It is not bound, and its volume is being made on this node.
    Making(Arc<str>),
    /// It is bound, to a volume on this node if that is known, but the volume is not shown yet: the watches of claims and
    /// of volumes need not be equally far.
    Bound(Option<Arc<str>>),
    /// It is bound and its volume is shown or was there before, on this node if that is known.
    HasVolume(Option<Arc<str>>),
    /// It does not exist any more.
    Deleted,
}

/// How far a reservation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationState {
    /// A filter call passed the node; the claim does not show it yet.
    Tentative,
    /// The pod names the node (`status.nominatedNodeName`); the claim does not show it yet.
    Nominated,
    /// The claim shows the node as its selected node.
    Assigned,
}
