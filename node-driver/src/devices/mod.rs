//! Regions, namespaces and their bytes, on persistent memory ([`LibNdctl`]) or on files that look like it ([`Emulated`]).
//!
//! [`Devices`] is what the rest of the driver works on. Every call blocks: async code wraps it in
//! `program::spawn_blocking`.

mod backend;
mod backend_args;
mod emulated;
mod error;
mod in_use;
mod inventory;
mod left_disabled;
mod libndctl;
mod mark;
mod offered;
mod quarantine;
mod raw_bytes;
mod required;
mod sweep;
mod uevents;

pub use backend::{Dax, Devices, EarlierVolume, NewNamespace, VolumeDevice};
pub use backend_args::BackendArgs;
pub use emulated::{Attach, Emulated, EmulatedError, NotARegion, RegionFlag};
pub use error::{DeviceError, Source};
pub use inventory::{Inventory, Location, Namespace, NamespaceMode, Region, Unclear, UnseenLabel};
pub use left_disabled::{LeftDisabled, Tried};
pub use libndctl::LibNdctl;
pub use mark::{Mark, Owner, Stage, free_uuid, name as mark_name, read as owner_of, uuid_of};
pub use quarantine::{Pieces, cover};
pub use raw_bytes::{RawBytes, RawFile};
pub use sweep::sweep_id;
pub use uevents::Announced;
pub(crate) use uevents::{Heard, hear, listen};
