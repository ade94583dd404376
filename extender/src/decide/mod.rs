//! The decisions, pure: from the index and a pod to the nodes that will do.

mod choose;
mod claims_of_pod;
mod filter;
mod known;
mod needs;
mod prioritize;
#[cfg(test)]
mod tests;
mod views;

pub use choose::choose;
pub use claims_of_pod::{ClaimOfPod, claims_of_pod};
pub use filter::{Filtered, Verdict, Why, filter, verdict};
pub use known::{Found, Known, Missing};
pub use needs::{Needs, Pin, needs_of};
pub use prioritize::prioritize;
pub use views::Views;
