//! What a StorageClass of ours asks for.

use std::collections::BTreeMap;

use crds::{ClassParameters, ParameterError};
use k8s_openapi::api::storage::v1::StorageClass;
use placement::{Bytes, Node, NumaNode};

use crate::filesystem::{Filesystem, UnknownFilesystem};

/// A StorageClass whose provisioner is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its uid.
    pub uid: String,
    /// Whether its volumes are made once a pod that uses them has a node (`WaitForFirstConsumer`).
    pub waits_for_pod: bool,
    /// What it asks for, or why that cannot be understood.
    pub asks: Result<Asks, ClassError>,
}

/// What a valid StorageClass asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    /// Mode, map, NUMA wish and erase policy.
    pub parameters: ClassParameters,
    /// The file system of its volumes, unless they are raw blocks.
    pub filesystem: Filesystem,
    /// Usable bytes that its file system needs at least.
    pub minimum: Bytes,
}

/// Why a StorageClass cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// One of our parameters.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The file system.
    #[error("StorageClass parameter {fstype}: {0}", fstype = FSTYPE)]
    Filesystem(UnknownFilesystem),
}

const FSTYPE: &str = "csi.storage.k8s.io/fstype";

impl Class {
    /// Reads a StorageClass.
    #[must_use]
    pub fn of(class: &StorageClass) -> Self {
        let none = BTreeMap::new();
        Self {
            uid: class.metadata.uid.clone().unwrap_or_default(),
            waits_for_pod: class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"),
            asks: Asks::parse(class.parameters.as_ref().unwrap_or(&none)),
        }
    }
}

impl Asks {
    /// Reads the parameters of a StorageClass or of a GetCapacity call.
    ///
    /// # Errors
    /// Names the parameter that is not understood.
    pub fn parse<'a, P>(parameters: P) -> Result<Self, ClassError>
    where
        P: IntoIterator<Item = (&'a String, &'a String)> + Clone,
    {
        let fstype = parameters.clone().into_iter().find(|(name, _)| *name == FSTYPE);
        let filesystem = fstype.map_or(Ok(Filesystem::default()), |(_, fs)| Filesystem::parse(fs));
        let parameters = ClassParameters::parse(parameters)?;
        let filesystem = filesystem.map_err(ClassError::Filesystem)?;
        Ok(Self {
            parameters,
            filesystem,
            minimum: filesystem.minimum(),
        })
    }

    /// Whether a volume of this class may be on `numa`.
    #[must_use]
    pub fn requests(&self, numa: Option<NumaNode>) -> bool {
        self.parameters.numa.allows(numa)
    }

    /// Usable bytes of the largest volume that one CreateVolume can get on `numa` of `node`: zero, not less than the
    /// file system needs, when even the largest is too small for it.
    #[must_use]
    pub fn largest(&self, node: &Node, numa: Option<NumaNode>) -> Bytes {
        let mode = self.parameters.mode.with_map(self.parameters.map);
        let largest = node.largest_usable(mode, numa);
        if largest < self.minimum { Bytes::ZERO } else { largest }
    }
}
