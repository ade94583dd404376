//! Publishes how large a volume can be had where, as CSIStorageCapacity objects for the scheduler.
//!
//! [`desired`] says what should exist, [`diff`] what to write, [`write`](writer::run) writes it.

mod desired;
mod diff;
mod record;
pub mod warnings;
pub mod writer;

pub use desired::desired;
pub use diff::{Change, diff};
pub use record::{Capacity, DRIVER_LABEL, MANAGED_BY_LABEL, NUMA_LABEL, Published};
