//! The decisions, pure: from what is known and a pod to the nodes that will do.

mod asked_again;
mod candidates;
mod explain;
mod filter;
mod prioritize;
mod requirements;
mod reserve;
mod waiting;

pub use asked_again::volumes_to_look_for;
pub use candidates::{Candidate, NodesForPod};
pub use explain::{
    NodeExplanation, PendingVolume, PodExplanation, RegionExplanation, RequestedVolume, ReservedClaim, explain,
};
pub use filter::{Filtered, NodeRefusal, Verdict, filter, verdict};
pub use prioritize::{HIGHEST_TOLD, prioritize, told_score};
pub use requirements::{NodeRequirements, OtherClaims, PreparedRequirements};
pub use reserve::{NodeChoice, filter_and_reserve};
pub use waiting::{Room, room_for_waiting};
