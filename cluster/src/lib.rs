//! What operator, extender and node driver agree on about Kubernetes objects, each fact in one place.
//!
//! - [`names`]: annotations, labels and parameters that others define and we read or write.
//! - [`Claim`], [`Class`], [`Pod`], [`VolumeOfOurs`], [`AvailableVolume`]: what matters of these objects, small enough to keep all of a cluster.
//! - [`Filesystem`], [`AccessMode`], [`Size`], [`read_mount_options`]: what a volume can be; [`Claim::request`] puts them together for a claim.
//! - [`requirements_of`]: what a pod requires of a node, over anything that can look up objects ([`Lookup`]).
//! - [`Bindings`]: which claims of a pod kube-scheduler binds to volumes that exist, so that none is made for them.
//! - [`waits_for_node`]: whether kube-scheduler has found no node for a pod.
//! - [`choose_numa`]: the NUMA node of a volume that has to be together with others.
//! - [`free_space`]: the free space of a node, pending volumes subtracted.
//! - [`DriverlessNodes`]: which nodes have no driver of ours.
//! - [`version`]: which of two versions of an object is older.
//! - [`watch`]: carries the events of a watch into an index.
//!
//! Nothing here waits, except for [`watch::run`]; nothing writes to the cluster.

mod access_mode;
mod bindings;
mod claim;
mod class;
mod driverless;
mod filesystem;
mod mount_options;
pub mod names;
mod numa;
mod object_key;
mod pending;
mod persistent_volume;
mod pod;
mod requirements;
mod size;
mod unsupported;
pub mod version;
pub mod watch;

pub use access_mode::{AccessMode, AccessModeError};
pub use bindings::{Bindings, ServedClaim, ServedClaims};
pub use claim::{Claim, ClaimError};
pub use class::{Class, ClassError, ClassMistake, ClassSettings, ForeignTopologies, NoGrowth, OurClass};
pub use driverless::DriverlessNodes;
pub use filesystem::{Filesystem, UnknownFilesystem};
pub use mount_options::{MountOptionError, read_mount_options};
pub use numa::{CompanionPlace, Companions, NoNumaNode, choose_numa};
pub use object_key::ObjectKey;
pub use pending::{ShownRegions, SpaceInOrder, VolumeSpace, free_space};
pub use persistent_volume::{AvailableVolume, VolumeOfOurs};
pub use pod::{Pod, PodClaim, PodVolume, waits_for_node};
pub use requirements::{
    ClaimNode, ClaimStage, Impossible, IndexedOrRead, Lookup, NotIndexed, ReadObjects, Requirements, SpaceRequirements,
    UnprovisionedClaim, VolumePlace, requirements_beside, requirements_of,
};
pub use size::{Size, SizeError};
pub use unsupported::Unsupported;
