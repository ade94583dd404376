//! The decisions, pure: from what is known and a pod to the nodes that will do.

mod candidates;
mod claims_of_pod;
mod company;
mod explain;
mod filter;
mod known;
mod needs;
mod prioritize;
mod reserve;

pub use candidates::{Candidate, NodesForPod};
pub use claims_of_pod::{ClaimOfPod, claims_of_pod};
pub use explain::{
    NodeExplanation, PendingVolume, PodExplanation, RegionExplanation, RequestedVolume, ReservedClaim, explain,
};
pub use filter::{Filtered, NodeRefusal, Verdict, filter, verdict};
pub use known::{Found, Known, Missing};
pub use needs::{Needs, Pin, needs_of};
pub use prioritize::prioritize;
pub use reserve::{NodeChoice, filter_and_reserve};
