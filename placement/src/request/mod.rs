//! What one claim asks of a node, and what all claims of a pod ask together.

mod pod;
mod volume;

pub use pod::PodRequest;
pub(crate) use pod::{Asked, on_one_numa_node};
pub use volume::VolumeRequest;
