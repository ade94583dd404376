//! The regions and namespaces of an emulated node, stored in one JSON file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crds::{BusProvider, PersistenceDomain, RegionState};
use placement::{Alignment, Bytes, Extent, NumaNode, Offer, Region, RegionId, free_between};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::flag::RegionFlag;
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::{self, Inventory, Namespace, NamespaceMode};
use crate::devices::mark::{self, Owner, Stage};
use crate::devices::quarantine;

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
    /// Bytes that pretend to be bad.
    #[serde(default)]
    bad: Vec<Extent>,
}

/// A namespace as the file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredNamespace {
    /// As in a label, with the mark.
    pub(super) name: String,
    /// As in a label; none before there were marks.
    #[serde(default)]
    pub(super) uuid: Option<Uuid>,
    /// The file with its bytes; none before there were marks.
    #[serde(default)]
    pub(super) file: Option<String>,
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
            bad: Vec::new(),
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

    /// The namespace of `volume` and how far it has come, or none.
    pub(super) fn of_volume(&self, volume: &str) -> Option<(&StoredNamespace, Stage)> {
        self.namespaces.iter().find_map(|namespace| match namespace.owner() {
            Owner::Ours(mark) if mark.volume == volume && mark.stage != Stage::Quarantined => {
                Some((namespace, mark.stage))
            }
            Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => None,
        })
    }

    /// The namespace without a mark that has the name of `volume`.
    pub(super) fn unmarked(&self, volume: &str) -> Option<&StoredNamespace> {
        let mut all = self.namespaces.iter();
        all.find(|namespace| namespace.name == volume && namespace.owner() == Owner::Foreign)
    }

    pub(super) fn numa(&self, id: &RegionId) -> Option<NumaNode> {
        self.regions.iter().find(|region| region.id == *id)?.numa
    }

    /// The layout with one more namespace, and that namespace.
    pub(super) fn with_new(&self, new: &NewNamespace) -> Result<(Self, StoredNamespace), DeviceError> {
        let extent = self.place(&new.region, new.footprint)?;
        let made = StoredNamespace::new(new, extent, self.free_uuid(&new.volume)?)?;
        let mut next = self.clone();
        next.namespaces.push(made.clone());
        Ok((next, made))
    }

    /// The layout with one more namespace that is no volume.
    pub(super) fn with_foreign(&self, name: &str, region: &RegionId, footprint: Bytes) -> Result<Self, DeviceError> {
        let extent = self.place(region, footprint)?;
        let mut next = self.clone();
        next.namespaces.push(StoredNamespace {
            name: name.into(),
            uuid: Some(Uuid::new_v4()),
            file: None,
            region: region.clone(),
            extent,
            mode: NamespaceMode::Raw,
            usable: None,
        });
        Ok(next)
    }

    /// The layout in which some bytes of a region pretend to be bad.
    pub(super) fn with_bad(&self, id: &RegionId, bad: Extent) -> Self {
        let mut next = self.clone();
        let regions = next.regions.iter_mut().filter(|region| region.id == *id);
        regions.for_each(|region| region.bad.push(bad));
        next
    }

    /// The layout in which namespaces cover the bad blocks in the free space of a region. They have no file.
    pub(super) fn covered(&self, id: &RegionId) -> Result<Self, DeviceError> {
        let inventory = self.to_inventory(|_| PathBuf::new());
        let exposed = inventory.region(id).map(|region| inventory.exposed(region));
        let mut next = self.clone();
        for extent in exposed.unwrap_or_default() {
            let volume = quarantine::id_of(id, extent);
            let new = NewNamespace {
                volume: volume.clone(),
                region: id.clone(),
                footprint: extent.size,
            };
            let made = StoredNamespace::new(&new, extent, self.free_uuid(&volume)?)?;
            next.namespaces.push(made.marked(&volume, Stage::Quarantined)?);
        }
        Ok(next)
    }

    /// The extent that the kernel would choose.
    fn place(&self, id: &RegionId, footprint: Bytes) -> Result<Extent, DeviceError> {
        let region = self.regions.iter().find(|region| region.id == *id);
        let region = region.ok_or_else(|| DeviceError::NotReady {
            region: id.clone(),
            message: "there is no such emulated region".into(),
        })?;
        let space = Region {
            id: region.id.clone(),
            numa: region.numa,
            alignment: region.alignment,
            free: self.free(region),
        };
        let hole = space.hole_for(footprint).ok_or_else(|| DeviceError::NoSpace {
            region: id.clone(),
            footprint,
        })?;
        let start = space.free[hole].aligned(region.alignment.get()).start;
        Ok(Extent::new(start, footprint))
    }

    fn free_uuid(&self, volume: &str) -> Result<Uuid, DeviceError> {
        let is_used = |uuid| self.namespaces.iter().any(|other| other.uuid == Some(uuid));
        mark::free_uuid(volume, is_used).ok_or_else(|| DeviceError::NoMark { name: volume.into() })
    }

    /// The layout in which the namespace at the place of `new` is as `new` says.
    pub(super) fn with(&self, new: &StoredNamespace) -> Self {
        let mut next = self.clone();
        for namespace in next.namespaces.iter_mut().filter(|namespace| namespace.is_at(new)) {
            namespace.clone_from(new);
        }
        next
    }

    pub(super) fn without(&self, gone: &StoredNamespace) -> Self {
        let mut next = self.clone();
        next.namespaces.retain(|namespace| !namespace.is_at(gone));
        next
    }

    pub(super) fn to_inventory(&self, file: impl Fn(&StoredNamespace) -> PathBuf) -> Inventory {
        let listed = |(position, namespace): (usize, &StoredNamespace)| Namespace {
            name: namespace.name.clone(),
            uuid: namespace.uuid,
            is_recorded: true,
            device: format!("emulated{position}"),
            region: namespace.region.clone(),
            extent: namespace.extent,
            mode: namespace.mode,
            block: namespace.usable.is_some().then(|| file(namespace)),
            usable: namespace.usable,
        };
        Inventory {
            regions: self.regions.iter().map(StoredRegion::listed).collect(),
            namespaces: self.namespaces.iter().enumerate().map(listed).collect(),
            unseen: Vec::new(),
            nothing: String::new(),
        }
    }

    fn free(&self, region: &StoredRegion) -> Vec<Extent> {
        let here = self.namespaces.iter().filter(|namespace| namespace.region == region.id);
        free_between(region.size, here.map(|namespace| namespace.extent))
    }
}

impl StoredNamespace {
    fn new(new: &NewNamespace, extent: Extent, uuid: Uuid) -> Result<Self, DeviceError> {
        let name = mark::name(&new.volume, uuid, Stage::Making);
        Ok(Self {
            name: name.ok_or_else(|| DeviceError::NoMark {
                name: new.volume.clone(),
            })?,
            uuid: Some(uuid),
            file: Some(format!("{uuid}.img")),
            region: new.region.clone(),
            extent,
            mode: NamespaceMode::Raw,
            usable: None,
        })
    }

    pub(super) fn owner(&self) -> Owner<'_> {
        mark::read(&self.name, self.uuid)
    }

    /// The name of the file with its bytes. It stays when the mark changes.
    pub(super) fn file(&self) -> String {
        self.file.clone().unwrap_or_else(|| format!("{}.img", self.name))
    }

    /// The namespace with another mark of `volume`.
    pub(super) fn marked(&self, volume: &str, stage: Stage) -> Result<Self, DeviceError> {
        let uuid = self.uuid.unwrap_or_else(|| mark::uuid_of(volume, 0));
        let name = mark::name(volume, uuid, stage);
        Ok(Self {
            name: name.ok_or_else(|| DeviceError::NoMark { name: volume.into() })?,
            uuid: Some(uuid),
            file: Some(self.file()),
            ..self.clone()
        })
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.region, self.extent) == (&other.region, other.extent)
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
            bad: self.bad.clone(),
            offer: Offer::EVERYTHING,
        }
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("layout.json")
}
