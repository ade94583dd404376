//! The decisions, pure: from the index and a pod to the nodes that will do.

mod claims_of_pod;
mod company;
mod explain;
mod filter;
#[cfg(test)]
mod joint;
mod known;
mod needs;
mod offer;
mod prioritize;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod together;
mod views;
#[cfg(test)]
mod world;

pub use claims_of_pod::{ClaimOfPod, claims_of_pod};
pub use explain::{Asked, NodeExplanation, PendingVolume, PodExplanation, RegionExplanation, ReservedClaim, explain};
pub use filter::{Filtered, Verdict, Why, filter, verdict};
pub use known::{Found, Known, Missing};
pub use needs::{Needs, Pin, needs_of};
pub use offer::{Offering, offer};
pub use prioritize::prioritize;
pub use views::{Candidate, Views};
