//! Scheduler extender of Daxfit: filters and scores nodes by byte-level free space.
//!
//! - [`index`]: what the cluster looks like, in memory, fed by watches.
//! - [`ledger`]: who was promised space that no volume takes yet; pure.
//! - [`decide`]: the decisions, pure.
//! - [`webhook`]: the calls of kube-scheduler.
//! - [`tls`]: the certificates on both ends of these calls.
//! - [`serve`]: the server; [`client`] and [`probe`] call it.
//! - [`args`]: the command line.

pub mod args;
pub mod client;
pub mod decide;
pub mod index;
pub mod ledger;
pub mod pod;
pub mod probe;
pub mod serve;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod webhook;
