//! The CSI Controller service, for the external-provisioner in the same pod.
//!
//! [`Service`] has a method for each call: `create/`, `delete`, and `read/` for the others; `deletion` is how bytes come to be erased. `request/` reads what a call asks
//! for, `choose/` decides on a node, `api/` reads and writes the API server, `wait/` waits for the node's driver.

mod api;
mod choose;
mod create;
mod delete;
mod deletion;
mod grpc;
mod read;
mod request;
mod response;
mod service;
mod unclaimed;
mod volume_id;
mod volume_status;
mod wait;

pub use api::ApiError;
pub use choose::{ChooseError, CompanionError};
pub use create::{CreateError, KeptError};
pub use delete::DeleteError;
pub use deletion::{Deletion, Reason, is_said_to_be_unused};
pub use read::{CapacityError, ListError, ReadError};
pub use request::RequestError;
pub use service::Service;
pub use unclaimed::RemoveError;
pub use volume_id::VolumeId;
