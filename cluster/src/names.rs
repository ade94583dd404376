//! Names that Kubernetes and its CSI sidecars define. What our own objects and our driver are called is in [`crds`].

/// Annotation of a claim or a `PersistentVolume` that names its class, before its spec does (`GetPersistentVolumeClaimClass`,
/// `GetPersistentVolumeClass` of k8s.io/component-helpers).
pub const BETA_STORAGE_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Annotation of a claim: the node that kube-scheduler chose for its volume. kube-scheduler sets it on an unbound claim;
/// external-provisioner removes it when the volume cannot be made there (`AnnSelectedNode` of k8s.io/component-helpers).
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

/// What external-provisioner puts before the unique id of a claim to name its volume (its flag `--volume-name-prefix`,
/// left at the default).
pub const VOLUME_PREFIX: &str = "pvc-";

/// `StorageClass` parameter: the file system of the volumes. external-provisioner takes it out of the parameters and
/// passes it as `fs_type` of the volume capability.
pub const FSTYPE: &str = "csi.storage.k8s.io/fstype";

/// Label of a Node: its name, but for a few clouds.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// `volumeBindingMode` of a class whose volumes are made once a pod that uses them has a node.
pub const WAIT_FOR_FIRST_CONSUMER: &str = "WaitForFirstConsumer";

/// Parameter of CreateVolume: the name of the claim (external-provisioner, `--extra-create-metadata`).
pub const CLAIM_NAME: &str = "csi.storage.k8s.io/pvc/name";
/// Parameter of CreateVolume: the namespace of the claim (external-provisioner, `--extra-create-metadata`).
pub const CLAIM_NAMESPACE: &str = "csi.storage.k8s.io/pvc/namespace";
/// Parameter of CreateVolume: the name of the `PersistentVolume` (external-provisioner, `--extra-create-metadata`).
pub const PERSISTENT_VOLUME_NAME: &str = "csi.storage.k8s.io/pv/name";

/// Label of a CSIStorageCapacity object: who writes it (external-provisioner uses the same label for its own).
pub const MANAGED_BY_LABEL: &str = "csi.storage.k8s.io/managed-by";
/// Label of a CSIStorageCapacity object: the CSI driver that it is about.
pub const DRIVER_LABEL: &str = "csi.storage.k8s.io/drivername";

/// Field selector of the pods that have no node and have not ended: those that kube-scheduler knows (`NewInformerFactory` in
/// `pkg/scheduler/scheduler.go`). Not all of them are Pending: after a restore of etcd, a kubelet may write of a pod that it
/// runs, and that has no node any more.
pub const PODS_WITHOUT_NODE: &str = "spec.nodeName=,status.phase!=Succeeded,status.phase!=Failed";
