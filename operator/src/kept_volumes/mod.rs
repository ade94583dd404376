//! Volumes whose data is on a node although they have no PmemVolume.
//!
//! A PmemVolume can be deleted in many ways: by hand, by a tool that prunes, with the kind itself. Only DeleteVolume erases;
//! all the others leave the data where it is, and the node reports it as kept. [`maker`] writes the object anew while a
//! `PersistentVolume` names it, [`warner`] records events about the rest. What is done is decided in `decide`, without
//! waiting.

mod decide;
pub mod maker;
mod object;
mod place;
pub mod warner;

pub use decide::{Unnamed, objects_to_make, unnamed_volumes};
pub use object::{object_of, object_to_look_for};
pub use place::{KeptPlace, KeptPlaceError};
