//! Why a volume has to wait for a person.

use crds::VolumeMode;
use placement::{Bytes, RegionId};

use crate::devices::NamespaceMode;

/// Why a volume has to wait for a person, and what the person can do. The driver touches no device until then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Several namespaces have the volume's name.
    #[error("{count} namespaces are named {name}: rename or destroy all but one")]
    Ambiguous { name: String, count: usize },
    /// The region the volume is in cannot be seen, nor what is in it.
    #[error("region {region}, which holds the volume, is away: {message}")]
    RegionAway { region: RegionId, message: String },
    /// The region the volume is in must not be written to.
    #[error("nothing can be written to region {region}: {message}")]
    RegionNotReady { region: RegionId, message: String },
    /// A namespace of the volume's name is in another region than recorded.
    #[error(
        "namespace {device} has the volume's name, but is in region {found} and not in {recorded}: rename or destroy it"
    )]
    WrongRegion {
        device: String,
        found: RegionId,
        recorded: RegionId,
    },
    /// A volume that was in use has lost its namespace.
    #[error("namespace {name} is gone, and its data with it: delete the volume, or bring the namespace back")]
    Vanished { name: String },
    /// The namespace of a volume that is in use has no block device.
    #[error("namespace {device} is not enabled: `ndctl enable-namespace {device}`")]
    NotConfigured { device: String },
    /// A namespace of the volume's name was there before, and it is not a volume.
    #[error("namespace {device} has the volume's name, but was not made for it: rename or destroy it")]
    Foreign { device: String },
    /// The namespace presents its bytes in another way than the volume should.
    #[error("namespace {device} has mode {found:?}, but the volume asks for {asked:?}: rename or destroy it")]
    WrongMode {
        device: String,
        found: NamespaceMode,
        asked: VolumeMode,
    },
    /// The namespace is smaller or larger than the volume may be.
    #[error("namespace {device} has {usable} usable, but the volume asks for {}", range(*required, *limit))]
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
            Self::Ambiguous { .. } => "AmbiguousNamespace",
            Self::RegionAway { .. } => "RegionAway",
            Self::RegionNotReady { .. } => "RegionNotReady",
            Self::WrongRegion { .. } => "WrongRegion",
            Self::Vanished { .. } => "NamespaceGone",
            Self::NotConfigured { .. } => "NamespaceDisabled",
            Self::Foreign { .. } => "ForeignNamespace",
            Self::WrongMode { .. } => "WrongMode",
            Self::WrongSize { .. } => "WrongSize",
        }
    }
}

fn range(required: Bytes, limit: Option<Bytes>) -> String {
    match limit {
        Some(limit) => format!("{required} to {limit}"),
        None => format!("at least {required}"),
    }
}
