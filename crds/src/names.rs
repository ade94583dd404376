//! What our own driver, its parameters and its marks on objects are called.

/// Name of the CSI driver, as in `CSIDriver` objects and `provisioner:` of a `StorageClass`.
pub const DRIVER_NAME: &str = "csi.daxfit.dev";
/// Key of the topology segment whose value is the name of the node.
pub const TOPOLOGY_KEY: &str = "topology.csi.daxfit.dev/node";
/// What the parameters of a `StorageClass` start with.
pub const PARAMETER_PREFIX: &str = "csi.daxfit.dev/";
/// Holds a deleted [`PmemVolume`](crate::PmemVolume) until the device itself says that it is to be erased. A living one has none.
pub const FINALIZER: &str = "csi.daxfit.dev/erase";
/// Annotation of a [`PmemVolume`](crate::PmemVolume): DeleteVolume was called for it, so its bytes may be erased. An object that
/// was deleted without it vanishes, and its namespace stays.
pub const DELETE_VOLUME: &str = "csi.daxfit.dev/delete-volume";
/// Value of [`DELETE_VOLUME`]: DeleteVolume was called.
pub const CALLED: &str = "called";
/// Value of [`DELETE_VOLUME`]: no `PersistentVolume` names the volume, so nobody can have used it. What the cluster shows may
/// be older than the data, so the device decides: a volume that is in use stays.
pub const UNUSED: &str = "unused";
/// Annotation of a [`PmemVolume`](crate::PmemVolume) that was made anew for a namespace that is there: it never gets another. Its value
/// is [`UNUSED`] if its node said that nobody had used it by then.
pub const KEPT: &str = "csi.daxfit.dev/kept";
/// Value of [`KEPT`]: somebody may have data in it.
pub const USED: &str = "true";
/// Annotation beside [`KEPT`]: the region that its namespace was in, if that was known. The region may be away by now.
pub const KEPT_IN: &str = "csi.daxfit.dev/kept-in";
/// The condition of a [`PmemVolume`](crate::PmemVolume) that is true while it can be used.
pub const PROVISIONED: &str = "Provisioned";
/// Reason of [`PROVISIONED`]: the region that holds or may hold the namespace of the volume cannot be seen.
pub const REGION_AWAY: &str = "RegionAway";
/// Reason of [`PROVISIONED`]: the namespace of the volume is there, and cannot be used.
pub const NAMESPACE_DISABLED: &str = "NamespaceDisabled";
/// Reason of [`PROVISIONED`]: several namespaces say that they are that of the volume.
pub const AMBIGUOUS_NAMESPACE: &str = "AmbiguousNamespace";
/// Reason of [`PROVISIONED`]: the namespace of the volume is there, with a mark of a newer version.
pub const NEWER_MARK: &str = "NewerMark";
/// Reason of [`PROVISIONED`]: the namespace of the volume is there, and has another mode than the volume asks for.
pub const WRONG_MODE: &str = "WrongMode";
/// Reason of [`PROVISIONED`]: the namespace of the volume is there, and has another size than the volume asks for.
pub const WRONG_SIZE: &str = "WrongSize";
/// Reason of [`PROVISIONED`]: the volume had a namespace, which is gone, though its node sees everything where it was.
pub const NAMESPACE_GONE: &str = "NamespaceGone";
/// The condition of a [`PmemNode`](crate::PmemNode) that is true while volumes can be made there.
pub const READY: &str = "Ready";
/// Reason of [`READY`] while it is unknown: the driver of the node has not renewed its Lease for some time. The operator writes it, and the
/// driver, whose report it is, writes it over as soon as it sees it.
pub const DRIVER_SILENT: &str = "DriverSilent";
/// Name of the Lease that the driver of `node` renews, in the namespace of Daxfit.
#[must_use]
pub fn driver_lease(node: &str) -> String {
    format!("{DRIVER_LEASE}{node}")
}
/// The node whose driver renews the Lease of this name, if it is such a Lease.
#[must_use]
pub fn node_of_lease(name: &str) -> Option<&str> {
    name.strip_prefix(DRIVER_LEASE)
}
const DRIVER_LEASE: &str = "driver-";
/// Value of the label `csi.storage.k8s.io/managed-by` on our `CSIStorageCapacity` objects.
pub const MANAGED_BY: &str = "daxfit-operator";
