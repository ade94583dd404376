//! Publishes how much persistent memory can be had where, and makes and removes volumes for the external-provisioner.
//!
//! - [`index`]: what is known of the cluster.
//! - [`claims`]: which claims a pod has, and what one asks for.
//! - [`capacity`]: CSIStorageCapacity objects for the scheduler.
//! - [`controller`]: the CSI Controller service; [`identity`] and [`serve`] go with it.
//! - [`lost`]: says which volumes wait for a node that is gone.
//! - [`unschedulable`]: says which pods wait for persistent memory that no node has.

pub mod capacity;
mod chain;
pub mod claims;
pub mod controller;
mod filesystem;
mod hash;
pub mod identity;
pub mod index;
pub mod lost;
pub mod probe;
pub mod run;
pub mod serve;
pub mod unschedulable;
