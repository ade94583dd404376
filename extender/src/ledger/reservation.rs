//! What is reserved, and how a claim changes it.

use std::sync::Arc;

use cluster::ObjectKey;
use placement::VolumeRequest;

/// Bytes that are kept for a claim that has no volume yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// The claim's name, for people.
    pub claim: ObjectKey,
    /// What its volume will take.
    pub request: VolumeRequest,
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
    /// It is bound and its volume is shown, on this node if that is known.
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
