//! Scheduler extender of Daxfit: filters and scores nodes by byte-level free space.
//!
//! - [`index`]: what the cluster shows, in memory.
//! - [`ledger`]: what is reserved for claims that have no volume yet; pure.
//! - [`state`]: both, fed by watches, and the free space that follows.
//! - [`waiting`]: the pods that no node had room for; pure. [`wake`] has them tried again once there is room.
//! - [`decide`]: the decisions, pure.
//! - [`webhook`]: the calls of kube-scheduler.
//! - [`tls`]: the certificates on both ends of these calls.
//! - [`Extender`]: puts the parts together.
//! - [`serve`]: the server; [`client`] and [`probe`] call it.
//! - [`args`]: the command line.

#[cfg(test)]
extern crate self as extender;

pub mod args;
pub mod client;
pub mod decide;
mod doubts;
pub mod index;
pub mod ledger;
mod neglected;
pub mod probe;
pub mod serve;
mod start;
pub mod state;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod waiting;
pub mod wake;
pub mod webhook;

pub use start::{Extender, Settings};
