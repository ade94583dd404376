//! The pfn, btt and dax devices that claim namespaces.

use placement::Bytes;
use uuid::Uuid;

use crate::ffi;
use crate::mode::PageMap;
use crate::values::{bytes, known_bytes, text, uuid};

/// A device that claims a namespace and shows its bytes in another way. A copy: it does not change later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Device name, for example "pfn0.1".
    pub device: String,
    /// What it does, with what is special to it.
    pub kind: ClaimKind,
    /// Whether it is enabled.
    pub is_enabled: bool,
    /// Bytes that can be used, while it is enabled.
    pub usable: Option<Bytes>,
    /// Its own UUID, which is not that of the namespace.
    pub uuid: Option<Uuid>,
    /// Name of its block device, while it is enabled. A dax device has none.
    pub block_device: Option<String>,
}

/// What a claiming device does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKind {
    /// fsdax.
    Pfn {
        /// Where the page structures are.
        map: Option<PageMap>,
        /// Alignment of the usable bytes.
        align: Bytes,
        /// Physical address of the first usable byte, while it is enabled.
        start: Option<Bytes>,
    },
    /// sector.
    Btt {
        /// Bytes that are written whole or not at all.
        sector_size: u32,
    },
    /// devdax.
    Dax,
}

impl Claim {
    pub(crate) fn of(namespace: &ffi::ndctl_namespace) -> Option<Self> {
        let pfn = ffi::ndctl_namespace_get_pfn(namespace).map(Self::pfn);
        let btt = || ffi::ndctl_namespace_get_btt(namespace).map(Self::btt);
        let dax = || ffi::ndctl_namespace_get_dax(namespace).map(Self::dax);
        pfn.or_else(btt).or_else(dax)
    }

    fn pfn(pfn: &ffi::ndctl_pfn) -> Self {
        let kind = ClaimKind::Pfn {
            map: PageMap::from_raw(ffi::ndctl_pfn_get_location(pfn)),
            align: bytes(ffi::ndctl_pfn_get_align(pfn)),
            start: known_bytes(ffi::ndctl_pfn_get_resource(pfn)),
        };
        // SAFETY: names that the device owns.
        let (device, block_device) = unsafe {
            (
                text(ffi::ndctl_pfn_get_devname(pfn)),
                text(ffi::ndctl_pfn_get_block_device(pfn)),
            )
        };
        Self {
            device: device.unwrap_or_default(),
            kind,
            is_enabled: ffi::ndctl_pfn_is_enabled(pfn) != 0,
            usable: known_bytes(ffi::ndctl_pfn_get_size(pfn)),
            uuid: uuid(|bytes| ffi::ndctl_pfn_get_uuid(pfn, bytes)),
            block_device,
        }
    }

    fn btt(btt: &ffi::ndctl_btt) -> Self {
        let sector_size = ffi::ndctl_btt_get_sector_size(btt);
        // SAFETY: names that the device owns.
        let (device, block_device) = unsafe {
            (
                text(ffi::ndctl_btt_get_devname(btt)),
                text(ffi::ndctl_btt_get_block_device(btt)),
            )
        };
        Self {
            device: device.unwrap_or_default(),
            kind: ClaimKind::Btt { sector_size },
            is_enabled: ffi::ndctl_btt_is_enabled(btt) != 0,
            usable: known_bytes(ffi::ndctl_btt_get_size(btt)),
            uuid: uuid(|bytes| ffi::ndctl_btt_get_uuid(btt, bytes)),
            block_device,
        }
    }

    fn dax(dax: &ffi::ndctl_dax) -> Self {
        // SAFETY: a name that the device owns.
        let device = unsafe { text(ffi::ndctl_dax_get_devname(dax)) };
        Self {
            device: device.unwrap_or_default(),
            kind: ClaimKind::Dax,
            is_enabled: ffi::ndctl_dax_is_enabled(dax) != 0,
            usable: known_bytes(ffi::ndctl_dax_get_size(dax)),
            uuid: uuid(|bytes| ffi::ndctl_dax_get_uuid(dax, bytes)),
            block_device: None,
        }
    }
}
