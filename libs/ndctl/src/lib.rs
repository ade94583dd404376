//! A safe, thin layer over libndctl: what the kernel's nvdimm subsystem shows, and the single steps that change it.
//!
//! No policy is in here: the caller decides which step follows which. A [`Context`] is a view of the devices taken when
//! each list is first asked for; every operation opens its own. Everything that comes out of a context borrows it,
//! and the one call that frees an object, [`Context::delete_namespace`], needs it exclusively.
//!
//! It needs `/sys` and `/dev` of the host, and root: the kernel shows physical addresses to nobody else.
//!
//! libndctl leaves out devices that it cannot read. Here, a list that lacks a device that the kernel has is an error
//! ([`Error::Incomplete`]), so that no caller takes used space for free.
#![allow(
    unsafe_code,
    reason = "calls the C library libndctl, and the kernel where only an ioctl tells; the only crate of the workspace that may"
)]

mod badblocks;
mod bus;
mod claim;
mod configure;
mod context;
mod cxl;
mod dimm;
mod error;
mod ffi;
mod label;
mod label_area;
mod label_device;
mod label_index;
mod loop_device;
mod mode;
mod name;
mod named;
mod namespace;
mod region;
mod snapshot;
mod sysfs;
mod tree;
mod values;

pub use badblocks::BadRange;
pub use bus::Bus;
pub use claim::{Claim, ClaimKind};
pub use configure::{Activation, Fsdax, Sector};
pub use context::Context;
pub use dimm::{Dimm, DimmFailure, Mapping};
pub use error::{Error, Operation};
pub use label::{Label, LabelError, Slot};
pub use label_area::{IndexId, LabelArea, Labels};
pub use loop_device::device_behind;
pub use mode::{Mode, PageMap, PersistenceDomain};
pub use name::{NameError, NamespaceName};
pub use named::{NamedNamespace, namespaces_named};
pub use namespace::{Namespace, NamespaceKind};
pub use region::{Region, RegionKind};
pub use snapshot::Snapshot;
pub use sysfs::has_subsystem;
