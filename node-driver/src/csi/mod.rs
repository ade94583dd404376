//! CSI Identity and Node, as the kubelet calls them over a unix socket.
//!
//! Each call that changes something parses its request, takes the lock of its volume (ABORTED while another call has it),
//! and does its blocking work in a task of its own that goes on when the kubelet gives up waiting: the kubelet's next try
//! is ABORTED until it is through, and then finds it done.
//!
//! Each has an error enum of its own; [`Coded`] maps it to a gRPC code, and [`answer`] logs it once.

mod answer;
mod capability;
mod identity;
mod locks;
mod node;
mod paths;
mod publish;
mod request;
mod server;
mod socket;
mod stage;
mod stats;
mod unpublish;
mod unstage;
mod volume;

pub use answer::{Coded, answer};
pub use capability::{Access, Capability, CapabilityError, Sharing};
pub use identity::IdentityService;
pub use locks::{Busy, VolumeLock, VolumeLocks};
pub use node::NodeService;
pub use publish::PublishError;
pub use request::BadRequest;
pub use server::{ServeError, serve};
pub use socket::{PluginSocket, SocketError};
pub use stage::StageError;
pub use stats::StatsError;
pub use unpublish::UnpublishError;
pub use unstage::UnstageError;
pub use volume::VolumeError;

#[cfg(test)]
mod tests;
