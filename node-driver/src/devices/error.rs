//! What can go wrong with a device.

use placement::{Bytes, Extent, RegionId};

use super::mark::Stage;
use crate::known_zero::NotWithdrawn;

/// What the kernel or a library said.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Regions or namespaces could not be read.
    #[error("cannot list regions and namespaces")]
    Listing(#[source] Source),
    /// There is no namespace of that name.
    #[error("there is no namespace of volume {name}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Several namespaces have the mark of that volume, so none of them is taken for it.
    #[error(
        "{count} namespaces are marked as volume {name}: look at each (`ndctl list -N`), and destroy the one that does not belong there"
    )]
    Ambiguous {
        /// The volume.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A newer version of the driver marked it in a way that this one does not know.
    #[error(
        "namespace {label} of volume {name} was marked by a newer version of the driver: it is left alone until that version is installed again"
    )]
    Newer {
        /// The volume.
        name: String,
        /// The name in the label.
        label: String,
    },
    /// Its mark forbids that.
    #[error("cannot {action} the namespace of volume {name}: it is {stage}")]
    WrongStage {
        /// What was tried, as a verb.
        action: &'static str,
        /// The volume.
        name: String,
        /// How far it has come.
        stage: Stage,
    },
    /// The label of a namespace is not on its modules, so that it would be another or none after a reboot.
    #[error(
        "the label of {device} is not on its modules as it should be: see `ndctl list --dimms --health`; until that is mended, \
         what is in the namespace may be lost at a reboot"
    )]
    NotRecorded {
        /// What the kernel calls it now.
        device: String,
    },
    /// The same, and it cannot be written again while somebody uses the namespace.
    #[error(
        "the label of {device} is not on its modules, and cannot be written again while it is in use: {by}; do not reboot the \
         node before: save what is in it, or delete its pod, and the label is written"
    )]
    NotRecordedInUse {
        /// Its block device.
        device: String,
        /// All that use it, as `in_use::User` names them.
        by: String,
    },
    /// The kernel did not enable a namespace again that was disabled in order to be marked, or by a run that was killed.
    #[error("namespace {device} cannot be enabled, and has no block device until it is: it will be tried again")]
    LeftDisabled {
        /// What the kernel calls it.
        device: String,
        /// What the kernel or a library said.
        #[source]
        source: Source,
    },
    /// The label cannot hold the mark.
    #[error(
        "the id of volume {name} is too long to be marked in a label: copy its data to a new claim, then destroy its namespace by hand"
    )]
    NoMark {
        /// The volume.
        name: String,
    },
    /// The namespace has no block device in its mode.
    #[error(
        "volume {name} has no block device: it is not configured yet, or disabled: see `kubectl describe pmemvolume {name}`"
    )]
    Incomplete {
        /// The name.
        name: String,
    },
    /// Somebody uses the block device.
    #[error("{device} of namespace {name} is in use: {by}")]
    InUse {
        /// The name of the namespace.
        name: String,
        /// Its block device.
        device: String,
        /// All that use it, as `in_use::User` names them.
        by: String,
    },
    /// The region has no hole that is large enough.
    #[error("region {region} has no hole of {footprint}")]
    NoSpace {
        /// The region.
        region: RegionId,
        /// Raw bytes asked for.
        footprint: Bytes,
    },
    /// Nothing may be written to that region.
    #[error("region {region} is not ready: {message}")]
    NotReady {
        /// The region.
        region: RegionId,
        /// Why, and what to do.
        message: String,
    },
    /// What is known of bytes that are about to be used cannot be taken back.
    #[error("no namespace is made")]
    NotWithdrawn(#[from] NotWithdrawn),
    /// Bad blocks in free space could not be covered, so no namespace is made there.
    #[error("bad blocks at {} of region {region} are not covered yet: somebody else changed its namespaces meanwhile", extent.start)]
    NotCovered {
        /// The region.
        region: RegionId,
        /// What has to be covered.
        extent: Extent,
    },
    /// An operation on a namespace failed.
    #[error("cannot {action} namespace {name}")]
    Operation {
        /// What was tried, as a verb.
        action: &'static str,
        /// The name of the namespace.
        name: String,
        /// What the kernel or a library said.
        #[source]
        source: Source,
    },
}
