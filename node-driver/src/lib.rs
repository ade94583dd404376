//! What runs on a node with persistent memory.
//!
//! - [`devices`]: regions, namespaces and their bytes, on real hardware or on files that look like it.
//! - [`layout`]: what they look like now, and the counter that says when that changed.
//! - [`publish`]: tells the cluster, as a `PmemNode`.
//! - [`volumes`]: brings the `PmemVolume`s of this node to where they should be.
//! - [`csi`], [`filesystem`], [`registration`]: what the kubelet calls.
//! - [`run`]: all of these together.

pub mod conditions;
pub mod csi;
pub mod devices;
pub mod error_chain;
pub mod filesystem;
pub mod layout;
pub mod probe;
pub mod publish;
pub mod registration;
pub mod run;
pub mod volumes;

#[cfg(test)]
mod fixtures;

/// What the API server knows this driver as, as the owner of fields.
pub const FIELD_MANAGER: &str = "daxfit-node-driver";
