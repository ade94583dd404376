//! The kinds of objects that are stored.

/// A kind of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the Kubernetes kind of that name")]
pub enum Kind {
    Node,
    Pod,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
    CSIStorageCapacity,
    CSINode,
    PmemNode,
    PmemVolume,
    Lease,
    /// Taken, but not kept.
    Event,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Node,
        Self::Pod,
        Self::PersistentVolumeClaim,
        Self::PersistentVolume,
        Self::StorageClass,
        Self::CSIStorageCapacity,
        Self::CSINode,
        Self::PmemNode,
        Self::PmemVolume,
        Self::Lease,
        Self::Event,
    ];

    /// The name in paths.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
            Self::PersistentVolume => "persistentvolumes",
            Self::StorageClass => "storageclasses",
            Self::CSIStorageCapacity => "csistoragecapacities",
            Self::CSINode => "csinodes",
            Self::PmemNode => "pmemnodes",
            Self::PmemVolume => "pmemvolumes",
            Self::Lease => "leases",
            Self::Event => "events",
        }
    }

    /// The name in objects.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::PersistentVolume => "PersistentVolume",
            Self::StorageClass => "StorageClass",
            Self::CSIStorageCapacity => "CSIStorageCapacity",
            Self::CSINode => "CSINode",
            Self::PmemNode => "PmemNode",
            Self::PmemVolume => "PmemVolume",
            Self::Lease => "Lease",
            Self::Event => "Event",
        }
    }

    /// Group and version.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Node | Self::Pod | Self::PersistentVolumeClaim | Self::PersistentVolume => "v1",
            Self::StorageClass | Self::CSIStorageCapacity | Self::CSINode => "storage.k8s.io/v1",
            Self::PmemNode | Self::PmemVolume => "daxfit.dev/v1alpha1",
            Self::Lease => "coordination.k8s.io/v1",
            Self::Event => "events.k8s.io/v1",
        }
    }

    /// Whether only a write to the path `/status` changes the status.
    #[must_use]
    pub fn has_status(self) -> bool {
        match self {
            Self::Node
            | Self::Pod
            | Self::PersistentVolumeClaim
            | Self::PersistentVolume
            | Self::PmemNode
            | Self::PmemVolume => true,
            Self::StorageClass | Self::CSIStorageCapacity | Self::CSINode | Self::Lease | Self::Event => false,
        }
    }

    pub(super) fn of_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }
}

/// Which object. The namespace of one without is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of an object of the cluster.
    #[must_use]
    pub fn of(kind: Kind, name: &str) -> Self {
        Self::in_namespace(kind, "", name)
    }

    /// The key of an object in a namespace.
    #[must_use]
    pub fn in_namespace(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}
