//! What runs on a node with persistent memory.
//!
//! - [`devices`]: regions, namespaces and their bytes, on real hardware or on files that look like it.
//! - [`layout`]: what they look like now, and the layout revision that says when that changed.
//! - [`report`]: writes that into the cluster, as a `PmemNode`.
//! - [`volumes`]: brings the `PmemVolume`s of this node to where they should be.
//! - [`host_rules`]: keeps the host from acting on what is inside of volumes.
//! - [`node_lock`]: one process at a time works on the devices.
//! - [`csi`], [`filesystem`], [`registration`]: what the kubelet calls.
//! - [`run`]: all of these together.

mod conditions;
pub mod csi;
pub mod devices;
pub mod filesystem;
mod heartbeat;
pub mod host_rules;
pub mod known_zero;
pub mod layout;
pub mod node_file;
pub mod node_lock;
pub mod registration;
mod report;
pub mod run;
pub mod volumes;

#[cfg(test)]
mod fixtures;

/// The owner of the fields that this driver writes, for server-side apply.
const FIELD_MANAGER: &str = "daxfit-node-driver";
