//! CSI v1 and the kubelet's plugin registration: protobuf types, clients and servers, and what their servers share.
//!
//! - [`Socket`]: the unix socket that only the user of the process can connect to.
//! - [`VolumeLocks`]: one call at a time for each volume.
//! - [`Capability`]: how a volume is to be used, as calls say it.
//! - [`respond`]: from the outcome of a call to its gRPC response.
//! - [`IdentityService`], and [`probe`] as its client.
//!
//! The types are written from the field names and numbers of the CSI specification v1.9, the version that
//! Kubernetes 1.32 to 1.36 speaks. A method that a server does not implement, and one that a
//! later version of the specification adds, is answered with UNIMPLEMENTED.
//!
//! `VolumeCondition` is gone from CSI v1.13, but Kubernetes still reads it.
//!
//! Debug output of a request contains its `secrets`: never log a whole request.

mod capability;
mod identity;
mod locks;
mod probe;
mod response;
mod socket;

pub use capability::{Access, Capability, CapabilityError, UNSUPPORTED_BY_VOLUME, UNSUPPORTED_FOR_NEW_VOLUME};
pub use identity::{IdentityService, Readiness};
pub use locks::{Busy, VolumeLock, VolumeLocks};
pub use probe::{ProbeError, probe};
pub use response::{RpcError, respond};
pub use socket::{Socket, SocketError, SocketFile};

/// CSI v1: the Identity, Controller and Node services and their messages.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; the comments are in proto/csi/v1"
)]
pub mod v1 {
    tonic::include_proto!("csi.v1");
}

/// The kubelet's plugin registration: the service a plugin serves on its registration socket.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    reason = "generated code; the comments are in proto/pluginregistration"
)]
pub mod registration {
    tonic::include_proto!("pluginregistration");
}
