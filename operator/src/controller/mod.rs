//! The CSI Controller service, for the external-provisioner in the same pod.
//!
//! [`Service`] has a method for each call: `create/`, `delete`, and `read/` for the others. `request/` reads what a call asks
//! for, `choose/` decides on a node, `api/` reads and writes the API server, `wait/` waits for the node's driver.

mod api;
mod choose;
mod create;
mod delete;
mod grpc;
mod read;
mod request;
mod response;
mod service;
mod volume_id;
mod volume_status;
mod wait;

pub use api::ApiError;
pub use choose::{ChooseError, CompanionError};
pub use create::CreateError;
pub use delete::DeleteError;
pub use read::{CapacityError, ListError, ReadError};
pub use request::RequestError;
pub use service::Service;
pub use volume_id::VolumeId;
