//! Where bytes of persistent memory fit.
//!
//! Everything here is pure: no clock, no I/O, no Kubernetes types. The operator, the scheduler extender and the node
//! driver call the same functions, so what the scheduler predicts is what the node does.
//!
//! - [`Bytes`]: an exact, non-negative number of bytes.
//! - [`Mode`] with [`Mode::usable`] and [`Mode::footprint`]: what a namespace of some raw size offers, and what raw
//!   size a claim needs.
//! - [`Region`] and [`Region::place`]: what the kernel does with a request for space in one region.
//! - [`Node`] with [`Node::place`] and [`Node::fits`]: the choice of region, and all claims of a pod together.
//! - [`Node::free_view`]: a published snapshot minus the volumes that it does not contain yet.
//! - [`Committed`]: what fits beside space that is promised but not taken yet, in every order.
//! - [`Prepared`] with [`Ask`]: the same answers for thousands of nodes at once, and [`scores`] to choose among them.

mod bytes;
mod committed;
mod extent;
mod free_view;
mod mode;
mod node;
mod prepared;
mod refusal;
mod region;
mod scores;
mod want;

pub use bytes::{Bytes, NotAByteCount};
pub use committed::Committed;
pub use extent::{Extent, free_between};
pub use free_view::Pending;
pub use mode::{MapLocation, Mode};
pub use node::{Node, Placed};
pub use prepared::{Ask, Prepared};
pub use refusal::{Reason, Refusal, Space};
pub use region::{Alignment, NotAnAlignment, Region, RegionId};
pub use scores::{HIGHEST, NotAPolicy, Policy, scores};
pub use want::{NumaNode, NumaWish, Want};
