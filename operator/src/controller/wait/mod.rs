//! How a CreateVolume call waits for the node of its volume.

mod deadline;
mod result;

pub use deadline::time_limit;
pub use result::{ProvisioningResult, Unfinished, wait_for_node};
