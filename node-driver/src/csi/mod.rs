//! CSI Identity and Node, as the kubelet calls them over a unix socket.
//!
//! [`NodeService`] receives the calls; each call has a file of its own, named as in the CSI specification. A call that changes
//! something checks its request, locks its volume (ABORTED while another call has it), and does its blocking work in a task
//! that goes on when the kubelet gives up waiting: the kubelet's next try is ABORTED until that ends, and then finds it done.
//!
//! Each call has an error enum of its own; [`RpcError`](::csi::RpcError) maps it to a gRPC code, and
//! [`respond`](::csi::respond) logs it once.

mod capability;
mod host;
mod identity;
mod node;
mod node_get_volume_stats;
mod node_publish_volume;
mod node_stage_volume;
mod node_unpublish_volume;
mod node_unstage_volume;
mod request;
mod server;
mod volume;

pub use identity::{DeviceReadiness, identity};
pub use node::NodeService;
pub use server::{ServeError, serve};
