//! The regions and namespaces of an emulated node, kept in one JSON file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crds::{BusProvider, PersistenceDomain, RegionState};
use placement::{Alignment, Bytes, Extent, NumaNode, Region, RegionId, free_between};
use serde::{Deserialize, Serialize};

use super::{EmulatedError, RegionFlag};
use crate::devices::{DeviceError, FoundMode, Inventory, Namespace, NewNamespace, RegionFound};

/// What regions of real hardware are set to.
const ALIGNMENT: Bytes = Bytes::mib(2);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Layout {
    regions: Vec<KeptRegion>,
    namespaces: Vec<Kept>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct KeptRegion {
    id: RegionId,
    numa: Option<NumaNode>,
    size: Bytes,
    alignment: Alignment,
}

/// A namespace as the file keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) name: String,
    pub(super) region: RegionId,
    pub(super) extent: Extent,
    pub(super) mode: FoundMode,
    pub(super) usable: Option<Bytes>,
}

impl Layout {
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
        let region = |(position, flag): (usize, &RegionFlag)| KeptRegion {
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

    pub(super) fn kept(&self, name: &str) -> Result<&Kept, DeviceError> {
        let named = self.namespaces.iter().find(|kept| kept.name == name);
        named.ok_or_else(|| DeviceError::NotFound { name: name.into() })
    }

    pub(super) fn numa(&self, id: &RegionId) -> Option<NumaNode> {
        self.regions.iter().find(|region| region.id == *id)?.numa
    }

    /// The layout with one more namespace, at the place that the kernel would choose.
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
        next.namespaces.push(Kept {
            name: new.name.clone(),
            region: new.region.clone(),
            extent: Extent::new(start, new.footprint),
            mode: FoundMode::Raw,
            usable: None,
        });
        Ok(next)
    }

    pub(super) fn with_mode(&self, name: &str, mode: FoundMode, usable: Option<Bytes>) -> Self {
        let mut next = self.clone();
        for kept in next.namespaces.iter_mut().filter(|kept| kept.name == name) {
            kept.mode = mode;
            kept.usable = usable;
        }
        next
    }

    pub(super) fn without(&self, name: &str) -> Self {
        let mut next = self.clone();
        next.namespaces.retain(|kept| kept.name != name);
        next
    }

    pub(super) fn to_inventory(&self, file: impl Fn(&str) -> PathBuf) -> Inventory {
        let found = |(position, kept): (usize, &Kept)| Namespace {
            name: kept.name.clone(),
            device: format!("emulated{position}"),
            region: kept.region.clone(),
            extent: kept.extent,
            mode: kept.mode,
            block: kept.usable.is_some().then(|| file(&kept.name)),
            usable: kept.usable,
        };
        Inventory {
            regions: self.regions.iter().map(KeptRegion::to_found).collect(),
            namespaces: self.namespaces.iter().enumerate().map(found).collect(),
        }
    }

    fn free(&self, region: &KeptRegion) -> Vec<Extent> {
        let here = self.namespaces.iter().filter(|kept| kept.region == region.id);
        free_between(region.size, here.map(|kept| kept.extent))
    }
}

impl KeptRegion {
    fn to_found(&self) -> RegionFound {
        RegionFound {
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
