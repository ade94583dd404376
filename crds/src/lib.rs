//! The Kubernetes types of Daxfit and what they mean in terms of [`placement`].
//!
//! - [`PmemNode`]: what one node has, written by its own driver only.
//! - [`PmemVolume`]: one volume on one node, written by the operator, carried out by the node's driver.
//! - [`ClassParameters`]: the parameters of a `StorageClass`.
//! - [`free_space`]: the free space of a node as operator, extender and driver all see it.
//!
//! No I/O happens here.

mod claim;
mod free_space;
mod names;
mod node;
mod parameters;
mod quantity;
mod volume;

pub use claim::{ClaimError, want_of_claim};
pub use free_space::{VolumeSpace, free_space, pending_of};
pub use names::{API_GROUP, DRIVER_NAME, FINALIZER, MANAGED_BY, PARAMETER_PREFIX, TOPOLOGY_KEY};
pub use node::{
    BusProvider, ForeignNamespaces, NodeTotals, PersistenceDomain, PmemNode, PmemNodeFields, PmemNodeStatus,
    RegionState, RegionStatus,
};
pub use parameters::{ClassParameters, ParameterError};
pub use quantity::{NotAQuantity, bytes_of_quantity, quantity_of_bytes};
pub use volume::{
    ClaimRef, ErasePolicy, EraseProgress, NumaChoice, Phase, PmemVolume, PmemVolumeSpec, PmemVolumeStatus, VolumeMode,
};
