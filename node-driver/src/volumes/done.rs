//! What this process knows about the bytes of a volume. It is gone after a crash, on purpose.

use placement::{Extent, RegionId};

use crate::devices::Namespace;

/// Which bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region.
    pub region: RegionId,
    /// The bytes in it.
    pub extent: Extent,
}

/// What this process did with the bytes of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Done {
    /// Nothing that it could vouch for.
    #[default]
    Nothing,
    /// Every one of them is zero, and nobody was offered them since.
    Zeroed(Place),
    /// They were zero when they were configured.
    Configured(Place),
}

impl Place {
    /// The bytes of a namespace.
    #[must_use]
    pub fn of(namespace: &Namespace) -> Self {
        Self {
            region: namespace.region.clone(),
            extent: namespace.extent,
        }
    }
}
