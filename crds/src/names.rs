//! What our own driver, its parameters and its marks on objects are called.

/// Name of the CSI driver, as in `CSIDriver` objects and `provisioner:` of a `StorageClass`.
pub const DRIVER_NAME: &str = "csi.daxfit.dev";
/// Key of the topology segment whose value is the name of the node.
pub const TOPOLOGY_KEY: &str = "topology.csi.daxfit.dev/node";
/// What the parameters of a `StorageClass` start with.
pub const PARAMETER_PREFIX: &str = "csi.daxfit.dev/";
/// Holds a [`PmemVolume`](crate::PmemVolume) until its bytes are zero and free again.
pub const FINALIZER: &str = "csi.daxfit.dev/erase";
/// Value of the label `csi.storage.k8s.io/managed-by` on our `CSIStorageCapacity` objects.
pub const MANAGED_BY: &str = "daxfit-operator";
