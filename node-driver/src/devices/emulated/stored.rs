//! The regions and namespaces of an emulated node, stored in one JSON file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crds::{BusProvider, PersistenceDomain, RegionState};
use placement::{Alignment, Bytes, Extent, NumaNode, Region, RegionId, free_between};
use serde::{Deserialize, Serialize};

use super::flag::RegionFlag;
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::{self, Inventory, Namespace, NamespaceMode};

/// What the driver sets regions of real hardware to.
const ALIGNMENT: Bytes = Bytes::mib(2);

/// Why the directory of the emulated backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmulatedError {
    /// No directory was named.
    #[error("the emulated backend needs a directory: set --emulated-dir")]
    NoDirectory,
    /// A file or directory cannot be read or written.
    #[error("cannot use {path} for emulated persistent memory")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file that holds the layout is damaged.
    #[error("{path} is damaged: repair it, or delete the directory and with it all emulated volumes")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredLayout {
    regions: Vec<StoredRegion>,
    namespaces: Vec<StoredNamespace>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredRegion {
    id: RegionId,
    numa: Option<NumaNode>,
    size: Bytes,
    alignment: Alignment,
}

/// A namespace as the file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredNamespace {
    pub(super) name: String,
    pub(super) region: RegionId,
    pub(super) extent: Extent,
    pub(super) mode: NamespaceMode,
    pub(super) usable: Option<Bytes>,
}

impl StoredLayout {
    pub(super) fn open(directory: &Path, regions: &[RegionFlag]) -> Result<Self, EmulatedError> {
        let path = path(directory);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|source| EmulatedError::Damaged { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let layout = Self::new(regions).map_err(|source| EmulatedError::Io { path, source })?;
                layout.save(directory)?;
                Ok(layout)
            }
            Err(source) => Err(EmulatedError::Io { path, source }),
        }
    }

    fn new(flags: &[RegionFlag]) -> io::Result<Self> {
        let alignment = Alignment::try_from(ALIGNMENT).map_err(io::Error::other)?;
        let region = |(position, flag): (usize, &RegionFlag)| StoredRegion {
            id: RegionId(format!("emulated-{position}")),
            numa: flag.numa,
            size: flag.size,
            alignment,
        };
        Ok(Self {
            regions: flags.iter().enumerate().map(region).collect(),
            namespaces: Vec::new(),
        })
    }

    /// Replaces the file as a whole, so that a crash leaves the old or the new one.
    pub(super) fn save(&self, directory: &Path) -> Result<(), EmulatedError> {
        let path = path(directory);
        let write = || -> io::Result<()> {
            let next = path.with_extension("json.next");
            let mut file = fs::File::create(&next)?;
            serde_json::to_writer(&mut file, self)?;
            file.flush()?;
            file.sync_all()?;
            fs::rename(&next, &path)
        };
        write().map_err(|source| EmulatedError::Io {
            path: path.clone(),
            source,
        })
    }

    pub(super) fn namespace(&self, name: &str) -> Result<&StoredNamespace, DeviceError> {
        let named = self.namespaces.iter().find(|namespace| namespace.name == name);
        named.ok_or_else(|| DeviceError::NotFound { name: name.into() })
    }

    pub(super) fn numa(&self, id: &RegionId) -> Option<NumaNode> {
        self.regions.iter().find(|region| region.id == *id)?.numa
    }

    /// The layout with one more namespace, in the extent that the kernel would choose.
    pub(super) fn with_new(&self, new: &NewNamespace) -> Result<Self, DeviceError> {
        let region = self.regions.iter().find(|region| region.id == new.region);
        let region = region.ok_or_else(|| DeviceError::NotReady {
            region: new.region.clone(),
            message: "there is no such emulated region".into(),
        })?;
        let space = Region {
            id: region.id.clone(),
            numa: region.numa,
            alignment: region.alignment,
            free: self.free(region),
        };
        let hole = space.hole_for(new.footprint).ok_or_else(|| DeviceError::NoSpace {
            region: new.region.clone(),
            footprint: new.footprint,
        })?;
        let start = space.free[hole].aligned(region.alignment.get()).start;
        let mut next = self.clone();
        next.namespaces.push(StoredNamespace {
            name: new.name.clone(),
            region: new.region.clone(),
            extent: Extent::new(start, new.footprint),
            mode: NamespaceMode::Raw,
            usable: None,
        });
        Ok(next)
    }

    pub(super) fn with_mode(&self, name: &str, mode: NamespaceMode, usable: Option<Bytes>) -> Self {
        let mut next = self.clone();
        for namespace in next.namespaces.iter_mut().filter(|namespace| namespace.name == name) {
            namespace.mode = mode;
            namespace.usable = usable;
        }
        next
    }

    pub(super) fn without(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.namespaces.retain(|namespace| namespace.name != name);
        next
    }

    pub(super) fn to_inventory(&self, file: impl Fn(&str) -> PathBuf) -> Inventory {
        let listed = |(position, namespace): (usize, &StoredNamespace)| Namespace {
            name: namespace.name.clone(),
            uuid: None,
            is_recorded: true,
            device: format!("emulated{position}"),
            region: namespace.region.clone(),
            extent: namespace.extent,
            mode: namespace.mode,
            block: namespace.usable.is_some().then(|| file(&namespace.name)),
            usable: namespace.usable,
        };
        Inventory {
            regions: self.regions.iter().map(StoredRegion::listed).collect(),
            namespaces: self.namespaces.iter().enumerate().map(listed).collect(),
        }
    }

    fn free(&self, region: &StoredRegion) -> Vec<Extent> {
        let here = self.namespaces.iter().filter(|namespace| namespace.region == region.id);
        free_between(region.size, here.map(|namespace| namespace.extent))
    }
}

impl StoredRegion {
    fn listed(&self) -> inventory::Region {
        inventory::Region {
            id: self.id.clone(),
            device: self.id.0.clone(),
            bus: BusProvider::Emulated,
            numa: self.numa,
            size: self.size,
            alignment: self.alignment,
            ways: 1,
            persistence_domain: PersistenceDomain::Unknown,
            state: RegionState::Ready,
            message: String::new(),
        }
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("layout.json")
}
