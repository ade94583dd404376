//! The Kubernetes types of Daxfit and what they mean in terms of [`placement`].
//!
//! - [`PmemNode`]: what one node has, written by its own driver only.
//! - [`PmemVolume`]: one volume on one node, written by the operator, carried out by the node's driver.
//! - [`ClassParameters`]: the parameters of a `StorageClass`.
//! - [`bytes_of_quantity`]: Kubernetes quantities as exact bytes.
//!
//! Types and conversions only: what follows from several objects together is in the crate `cluster`.

mod names;
mod node;
mod parameters;
mod quantity;
mod volume;

pub use names::{
    AMBIGUOUS_NAMESPACE, CALLED, DELETE_VOLUME, DRIVER_NAME, DRIVER_SILENT, FINALIZER, KEPT, KEPT_IN, MANAGED_BY,
    NAMESPACE_DISABLED, NAMESPACE_GONE, NEWER_MARK, PARAMETER_PREFIX, PROVISIONED, READY, REGION_AWAY, TOPOLOGY_KEY,
    UNUSED, WRONG_MODE, WRONG_SIZE, driver_lease, node_of_lease,
};
pub use node::{
    BusProvider, ErasingVolume, ForeignNamespaces, KeptVolume, NodeTotals, PersistenceDomain, PmemNode, PmemNodeFields,
    PmemNodeStatus, QuarantinedBytes, RegionState, RegionStatus,
};
pub use parameters::{ClassParameters, ParameterError};
pub use quantity::{NotAQuantity, bytes_of_quantity, quantity_of_bytes};
pub use volume::{
    ClaimRef, ErasePolicy, EraseProgress, NumaChoice, Phase, PmemVolume, PmemVolumeSpec, PmemVolumeStatus, VolumeMode,
};
