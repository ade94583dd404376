//! What the ledger is told of claims.

use std::sync::Arc;

use placement::VolumeRequest;

use crate::index::ObjectKey;

/// A claim and the space it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The unique id of the claim.
    pub uid: Arc<str>,
    /// Its name, for people.
    pub claim: ObjectKey,
    /// What it needs.
    pub request: VolumeRequest,
}

/// How a claim stands, as far as the cluster shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has neither a volume nor a node.
    Undecided,
    /// kube-scheduler chose this node for it, where it has no volume yet.
    Given(Arc<str>, Arc<Promise>),
    /// It is bound, to a volume on this node if that is known, but the volume is not shown yet: the watches of claims and
    /// of volumes need not be equally far.
    Bound(Option<Arc<str>>),
    /// Its volume is shown, on this node if that is known.
    Settled(Option<Arc<str>>),
    /// It does not exist any more.
    Gone,
}

/// How a promise came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By a filter call; the claim does not show it yet.
    Open,
    /// The claim shows it.
    Given,
}
