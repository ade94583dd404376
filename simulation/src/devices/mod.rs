//! The hardware and the kernel of one node, in memory, with every fault.
//!
//! A [`Machine`] outlives every run of the driver; a [`Fuse`] is one run, which can be killed after any effect. Nothing here
//! depends on a clock, and chance only comes from the generator that a caller hands in.
//!
//! - [`state`]: all that a machine is; [`region`], [`namespace`], [`label`], [`label_area`], [`node_file`]: its parts.
//! - [`granules`], [`tag`]: bytes, as who wrote them, for each granule of 4 KiB.
//! - [`driver`], [`pieces`], [`bytes`], [`filesystems`]: what a run of the driver sees, as its traits.
//! - [`kernel_changes`], [`content`], [`mounts`]: what the kernel does when it is told to.
//! - [`power`], [`others`], [`faults`], [`first_block`]: what the world does.
//! - [`truth`]: what invariants look at.

mod bytes;
mod content;
mod driver;
mod faults;
mod filesystems;
mod first_block;
mod fuse;
mod granules;
mod kernel_changes;
mod label;
mod label_area;
mod machine;
mod mounts;
mod namespace;
mod node_file;
mod others;
mod pieces;
mod power;
mod region;
mod state;
mod tag;
mod truth;

pub use faults::DeviceFault;
pub use fuse::{Blown, Fuse};
pub use machine::Machine;
pub use region::RegionSpec;
pub use tag::{Serial, Tag};
pub use truth::{Holds, TrueMount, TrueNamespace, TrueRegion, Truth};

#[cfg(test)]
mod tests;
