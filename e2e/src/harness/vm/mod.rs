//! Virtual machines with emulated persistent memory.
//!
//! A [`Machine`] says what there is; [`Machine::boot`] makes a running [`Vm`] of it. Commands run in the guest through
//! an agent of ours behind a virtio-serial port, so nothing that the kernel prints can get in the way.

mod accel;
mod agent;
mod boot;
mod console;
mod machine;
mod monitor;
mod running;
mod trial;

pub(crate) use agent::Output;
pub(crate) use machine::{CxlMemory, DeviceBytes, Disk, Machine, Network, Nvdimm};
pub(crate) use running::Vm;
