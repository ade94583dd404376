//! Protobuf types, clients and servers of CSI v1 and of the kubelet's plugin registration.
//!
//! Written from the field names and numbers of the CSI specification v1.9, the version that
//! Kubernetes 1.32 to 1.36 speaks. A method that a server does not implement, and one that a
//! later version of the specification adds, is answered with UNIMPLEMENTED.
//!
//! `VolumeCondition` is gone from CSI v1.13, but Kubernetes still reads it.
//!
//! Debug output of a request contains its `secrets`: never log a whole request.

mod plugin;

pub use plugin::plugin_capabilities;

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
