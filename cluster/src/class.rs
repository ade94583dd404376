//! What matters of a `StorageClass`.

use std::collections::BTreeMap;

use crds::{ClassParameters, DRIVER_NAME, ParameterError, TOPOLOGY_KEY};
use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::names::{BETA_STORAGE_CLASS, FSTYPE, WAIT_FOR_FIRST_CONSUMER};
use crate::{Filesystem, MountOptionError, UnknownFilesystem, read_mount_options};

/// What matters of a `StorageClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Its provisioner is Daxfit.
    Ours(OurClass),
    /// Its provisioner is another driver: none of our business.
    Foreign,
}

/// A class whose provisioner is Daxfit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurClass {
    /// The unique id of the object.
    pub uid: Box<str>,
    /// Whether its volumes are made once a pod that uses them has a node (`WaitForFirstConsumer`).
    pub waits_for_pod: bool,
    /// Whether a volume can be made on some of the nodes that its `allowedTopologies` name.
    pub topologies: Result<(), ForeignTopologies>,
    /// What its volumes are like, or what is wrong with its parameters.
    pub settings: Result<ClassSettings, ClassError>,
    /// Whether a volume that is not used as a raw block device can be mounted as `mountOptions` say.
    pub mount_options: Result<(), MountOptionError>,
    /// Whether it promises no growth.
    pub growth: Result<(), NoGrowth>,
}

/// Something about a class that will disappoint whoever uses it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassMistake {
    /// A parameter: there is no capacity for the class.
    #[error(transparent)]
    Settings(ClassError),
    /// `allowedTopologies`: there is no volume for its claims.
    #[error(transparent)]
    Topologies(ForeignTopologies),
    /// `mountOptions`: there is no volume for its claims.
    #[error(transparent)]
    MountOption(MountOptionError),
    /// `allowVolumeExpansion`: it has no effect.
    #[error(transparent)]
    Growth(NoGrowth),
}

/// The driver has no capability `EXPAND_VOLUME`, so a claim that asks for more would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowVolumeExpansion of the StorageClass has no effect, because volumes keep their size: leave it out, so that the API server \
     says so to whoever wants to enlarge a claim"
)]
pub struct NoGrowth;

/// What the volumes of a class are like, apart from their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSettings {
    /// Our own parameters: mode, page map, NUMA wish, erase policy.
    pub parameters: ClassParameters,
    /// The file system of a volume that is not used as a raw block device.
    pub filesystem: Filesystem,
}

/// A parameter of a class is not understood: correct the class, by making it anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// One of our own parameters.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The file system.
    #[error("StorageClass parameter {FSTYPE}: {0}")]
    Filesystem(UnknownFilesystem),
}

/// External-provisioner compares `allowedTopologies` with the topology of the selected node, which has our key only
/// (`--strict-topology`, `GenerateAccessibilityRequirements` in its `pkg/controller/topology.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowedTopologies of the StorageClass can name nodes by {key} only: make the class anew without them, and let the pods \
     choose their nodes",
    key = TOPOLOGY_KEY
)]
pub struct ForeignTopologies;

impl ForeignTopologies {
    /// One term of others spoils all: kube-scheduler chooses nodes by it, where external-provisioner then makes nothing.
    fn check(class: &StorageClass) -> Result<(), Self> {
        let mut allowed = class.allowed_topologies.iter().flatten();
        let is_ours = |term: &TopologySelectorTerm| {
            let mut keys = term.match_label_expressions.iter().flatten();
            keys.all(|expression| expression.key == TOPOLOGY_KEY)
        };
        allowed.all(is_ours).then_some(()).ok_or(Self)
    }
}

impl ClassSettings {
    /// Reads the parameters of a `StorageClass` or of a GetCapacity call.
    ///
    /// # Errors
    /// Names the parameter that is not understood, and what is allowed instead.
    pub fn parse<'a, P>(parameters: P) -> Result<Self, ClassError>
    where
        P: IntoIterator<Item = (&'a String, &'a String)> + Clone,
    {
        let fstype = parameters.clone().into_iter().find(|(name, _)| *name == FSTYPE);
        let parameters = ClassParameters::parse(parameters)?;
        let filesystem = Filesystem::parse(fstype.map_or("", |(_, name)| name)).map_err(ClassError::Filesystem)?;
        Ok(Self { parameters, filesystem })
    }
}

impl From<&StorageClass> for Class {
    fn from(class: &StorageClass) -> Self {
        if class.provisioner != DRIVER_NAME {
            return Self::Foreign;
        }
        let none = BTreeMap::new();
        let settings = ClassSettings::parse(class.parameters.as_ref().unwrap_or(&none));
        let options = class.mount_options.as_deref().unwrap_or_default();
        Self::Ours(OurClass {
            uid: class.metadata.uid.as_deref().unwrap_or_default().into(),
            waits_for_pod: class.volume_binding_mode.as_deref() == Some(WAIT_FOR_FIRST_CONSUMER),
            mount_options: settings.as_ref().map_or(Ok(()), |settings| {
                read_mount_options(settings.filesystem, options).map(drop)
            }),
            growth: if class.allow_volume_expansion == Some(true) {
                Err(NoGrowth)
            } else {
                Ok(())
            },
            topologies: ForeignTopologies::check(class),
            settings,
        })
    }
}

impl OurClass {
    /// Everything about it that will disappoint whoever uses it.
    pub fn mistakes(&self) -> impl Iterator<Item = ClassMistake> + use<> {
        let settings = self.settings.clone().err().map(ClassMistake::Settings);
        let topologies = self.topologies.err().map(ClassMistake::Topologies);
        let mount_option = self.mount_options.clone().err().map(ClassMistake::MountOption);
        let growth = self.growth.err().map(ClassMistake::Growth);
        [settings, topologies, mount_option, growth].into_iter().flatten()
    }
}

impl Class {
    /// The class, if its provisioner is Daxfit.
    #[must_use]
    pub fn ours(&self) -> Option<&OurClass> {
        match self {
            Self::Ours(class) => Some(class),
            Self::Foreign => None,
        }
    }
}

/// The class that a claim or a `PersistentVolume` names: the annotation outranks the field (`GetPersistentVolumeClaimClass` and
/// `GetPersistentVolumeClass` of k8s.io/component-helpers).
pub(crate) fn class_name<'a>(
    annotations: &'a BTreeMap<String, String>,
    field: Option<&'a String>,
) -> Option<&'a String> {
    annotations.get(BETA_STORAGE_CLASS).or(field)
}
