//! Reading the requests of the Controller service.

mod create;
mod size;
mod topology;
mod usage;

pub use create::{CreateRequest, RequestError};
pub use topology::{AllowedNodes, ForeignTopology, node_of, topology_of};
pub use usage::{UsageError, filesystem_of};
