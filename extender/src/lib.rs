//! Scheduler extender of Daxfit: filters and scores nodes by byte-level free space.
//!
//! - [`index`]: what the cluster looks like, in memory, fed by watches.
//! - [`decide`]: the decisions, pure.
//! - [`webhook`]: the calls of kube-scheduler.
//! - [`tls`]: the certificates on both ends of these calls.
//! - [`serve`], [`probe`], [`client`]: the server, and the two ways to call it.

pub mod client;
pub mod decide;
pub mod index;
pub mod pod;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod webhook;
