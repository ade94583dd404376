//! Why a volume has to wait for a person.

use crds::{
    AMBIGUOUS_NAMESPACE, NAMESPACE_DISABLED, NAMESPACE_GONE, NEWER_MARK, REGION_AWAY, VolumeMode, WRONG_MODE,
    WRONG_SIZE,
};
use placement::{Bytes, RegionId};

use crate::devices::NamespaceMode;

/// Why a volume has to wait for a person, and what the person can do. The driver touches no device until then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Several namespaces have the volume's mark.
    #[error(
        "{count} namespaces are marked as volume {name}: look at each (`ndctl list -N`), and destroy the one that does not belong there"
    )]
    Ambiguous { name: String, count: usize },
    /// A newer version of the driver marked it in a way that this one does not know.
    #[error("namespace {label} was marked by a newer version of the driver, and is left alone: update the driver")]
    Newer { label: String },
    /// An earlier volume of that id is still on the device.
    #[error("the bytes of a deleted volume of this id are being erased first")]
    StillErasing,
    /// The region the volume is in cannot be seen, nor what is in it.
    #[error("region {region}, which holds the volume, is away: {message}")]
    RegionAway { region: RegionId, message: String },
    /// The region the volume is in must not be written to.
    #[error("nothing can be written to region {region}: {message}")]
    RegionNotReady { region: RegionId, message: String },
    /// A volume that was in use has lost its namespace.
    #[error(
        "namespace {name} is gone: bring its labels back before its bytes are used for others, or delete its claim"
    )]
    Vanished { name: String },
    /// The namespace of a volume that is in use has no block device.
    #[error("namespace {device} is not enabled: `ndctl enable-namespace {device}`")]
    NotConfigured { device: String },
    /// The namespace presents its bytes in another way than the volume should.
    #[error(
        "namespace {device} has mode {found:?}, but the volume asks for {asked:?}: save what is in it, then delete its claim"
    )]
    WrongMode {
        device: String,
        found: NamespaceMode,
        asked: VolumeMode,
    },
    /// The namespace is smaller or larger than the volume may be.
    #[error("namespace {device} has {usable} usable, but the volume asks for {}: save what is in it, then delete its claim", range(*required, *limit))]
    WrongSize {
        device: String,
        usable: Bytes,
        required: Bytes,
        limit: Option<Bytes>,
    },
}

impl Blocked {
    /// The reason in the volume's condition: one word for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ambiguous { .. } => AMBIGUOUS_NAMESPACE,
            Self::Newer { .. } => NEWER_MARK,
            Self::StillErasing => "StillErasing",
            Self::RegionAway { .. } => REGION_AWAY,
            Self::RegionNotReady { .. } => "RegionNotReady",
            Self::Vanished { .. } => NAMESPACE_GONE,
            Self::NotConfigured { .. } => NAMESPACE_DISABLED,
            Self::WrongMode { .. } => WRONG_MODE,
            Self::WrongSize { .. } => WRONG_SIZE,
        }
    }
}

fn range(required: Bytes, limit: Option<Bytes>) -> String {
    match limit {
        Some(limit) => format!("{required} to {limit}"),
        None => format!("at least {required}"),
    }
}
