//! Publishes the largest volume that fits on each node, as CSIStorageCapacity objects for kube-scheduler.
//!
//! [`desired`] computes the objects that should exist, [`diff`] the writes that lead there, [`writer`] makes these writes.

mod desired;
mod diff;
mod largest;
pub mod writer;

pub use desired::desired;
pub use diff::{Change, diff};
pub use largest::largest_volumes;
