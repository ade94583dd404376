//! Where bytes of persistent memory fit.
//!
//! Everything here is pure: no clock, no I/O, no Kubernetes types. The operator, the scheduler extender and the node
//! driver call the same functions, so what the scheduler predicts is what the node does.
//!
//! - [`Bytes`]: an exact, non-negative number of bytes.
//! - [`Mode`] with [`Mode::usable`] and [`Mode::footprint`]: what a namespace of some raw size offers, and what raw
//!   size a claim needs.
//! - [`Region`] and [`Region::place`]: what the kernel does with a request for space in one region.
//! - [`Node`] with [`Node::place`] and [`Node::fits`]: the choice of region, and all claims of a pod together, in every
//!   order of creation ([`Joint`]) and with the NUMA nodes that they wish ([`NumaWish`]).
//! - [`Node::with_pending`]: a published snapshot minus the volumes that it does not contain yet.
//! - [`PreparedNode`] with [`PodRequest`]: the same answers for thousands of nodes at once, also beside space that is promised but not
//!   taken yet, and [`scores`] to choose among them.
//! - [`Refusal`] and [`Explanation`]: why something does not fit, with every number that a person would ask for.

mod bytes;
mod committed;
mod explanation;
mod extent;
mod glance;
mod joint;
mod mode;
mod node;
mod numa;
mod occupancy;
mod pending;
mod pod_request;
mod prepared;
mod reason;
mod refusal;
mod region;
mod request;
mod reserved;
mod rooms;
mod scores;

pub use bytes::{Bytes, NotAByteCount};
pub use explanation::{Explanation, RefusalKind};
pub use extent::{Extent, free_between};
pub use joint::Joint;
pub use mode::{MapLocation, Mode};
pub use node::{Node, Placed};
pub use numa::{Apart, together_with};
pub use occupancy::Occupancy;
pub use pending::PendingVolume;
pub use pod_request::PodRequest;
pub use prepared::PreparedNode;
pub use reason::Reason;
pub use refusal::{Refusal, Space};
pub use region::{Alignment, NotAnAlignment, Region, RegionId};
pub use request::{NumaNode, NumaWish, VolumeRequest};
pub use reserved::{Reservation, ReservedSpace};
pub use scores::{Cost, HIGHEST, NotAPolicy, Policy, scores};
