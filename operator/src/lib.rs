//! Publishes the capacity of each node, and makes and deletes volumes for the external-provisioner.
//!
//! - [`run`]: puts the parts together.
//! - [`index`]: what the watches show of the cluster.
//! - [`capacity`]: CSIStorageCapacity objects for kube-scheduler.
//! - [`controller`]: the CSI Controller service. [`identity`] and [`serve`] go with it, [`health`] is beside it.
//! - [`kept_volumes`]: volumes that have data on a node and no PmemVolume.
//! - [`unclaimed_volumes`]: volumes that nobody asked for any more when they were ready.
//! - [`events`]: Warning events on pods that wait, on volumes without a node, and on classes with a mistake.

pub mod capacity;
pub mod capacity_object;
mod claims_api;
pub mod controller;
pub mod events;
mod hash;
pub mod health;
pub mod identity;
pub mod index;
pub mod kept_volumes;
pub mod run;
pub mod serve;
pub mod silent_drivers;
pub mod stranded_claims;
pub mod unclaimed_volumes;
