//! What can go wrong with a device.

use placement::{Bytes, RegionId};

/// What the kernel or a library said.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Regions or namespaces could not be read.
    #[error("cannot list regions and namespaces")]
    Listing(#[source] Source),
    /// There is no namespace of that name.
    #[error("there is no namespace named {name}")]
    NotFound {
        /// The name.
        name: String,
    },
    /// Several namespaces have that name, so none of them is taken for the volume.
    #[error("{count} namespaces are named {name}: rename or destroy all but one")]
    Ambiguous {
        /// The name.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// The namespace has no block device in its mode.
    #[error("namespace {name} has no block device: it is not configured yet, or it is disabled")]
    Incomplete {
        /// The name.
        name: String,
    },
    /// A process has the block device open, or it is mounted.
    #[error("{device} of namespace {name} is in use: unmount it first")]
    InUse {
        /// The name of the namespace.
        name: String,
        /// Its block device.
        device: String,
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
