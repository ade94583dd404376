//! Where bytes of persistent memory fit.
//!
//! Everything here is pure: no clock, no I/O, no Kubernetes types. The operator, the scheduler extender and the node
//! driver call the same functions, so what the scheduler predicts is what the node does. Where to start reading:
//!
//! - [`Mode::usable`] and [`Mode::footprint`]: what a namespace of some raw size offers, and what raw size a claim takes.
//! - [`Region::place`]: what the kernel does with a request for space in one region.
//! - [`Node::place`], [`Node::fits`] and [`Node::settle`]: the choice of region, and all claims of a pod together, in every
//!   order of creation ([`Joint`]) and with the NUMA nodes that they wish ([`NumaWish`]).
//! - [`Node::with_pending`]: what a node reported, without the volumes that are not in there yet.
//! - [`PreparedNode`] with [`PodRequest`]: the same answers for thousands of nodes at once, also beside space that is
//!   reserved, and [`scores`] to choose among them.
//! - [`Refusal`] and [`Explanation`]: why something does not fit, with every number that a person would ask for.

mod alignment;
mod bytes;
mod extent;
mod fits;
mod holes;
mod mode;
mod node;
mod numa;
mod occupancy;
mod offer;
mod order;
mod prepared;
mod refusal;
mod region;
mod request;
mod reservations;
mod score;
mod together;

pub use alignment::{Alignment, NotAnAlignment};
pub use bytes::{Bytes, NotAByteCount};
pub use extent::{Extent, free_between, usable_of};
pub use mode::{MapLocation, Mode};
pub use node::{Node, Placed, UnreadyRegion};
pub use numa::{NumaNode, NumaWish};
pub use occupancy::Occupancy;
pub use offer::Offer;
pub use order::Joint;
pub use prepared::{PreparedNode, Reason};
pub use refusal::{Explanation, Refusal, RefusalKind, ReservedSpace, Space};
pub use region::{Region, RegionId};
pub use request::{PodRequest, VolumeRequest};
pub use reservations::{PendingVolume, Reservation};
pub use score::{Cost, HIGHEST, NotAPolicy, Policy, scores};
pub use together::{Apart, together_with};
