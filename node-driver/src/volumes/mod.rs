//! Brings the volumes of this node to where their objects say they should be.
//!
//! [`decide()`] says what comes next, [`Worker`] does it, [`Watch`] hears about the objects.

mod blocked;
mod controller;
mod decide;
mod done;
mod erase;
mod error;
mod journal;
mod memory;
mod patience;
mod pending;
mod record;
mod region_locks;
pub mod says;
#[cfg(test)]
mod tests;
mod worker;
mod zero;

pub use blocked::Blocked;
pub use controller::Watch;
pub use decide::{Provisioned, Situation, Step, decide};
pub use done::{Done, Place};
pub use error::WorkError;
pub use memory::Memory;
pub use record::{Cluster, Record, RecordError};
pub use worker::{Outcome, Worker};
pub use zero::{Progress, ZeroError, erase as zero_all, scrub};
