//! All that a machine is: what the kernel and the modules have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crds::RegionState;
use node_driver::devices::{Inventory, UnseenLabel};
use node_driver::filesystem::DeviceNumber;
use node_driver::known_zero::Look;
use placement::{Bytes, Extent, Mode, RegionId};
use tokio::sync::watch;
use uuid::Uuid;

use super::faults::{Call, Faults};
use super::granules::granules_of;
use super::label::{Label, Labelled, OnModules};
use super::label_area::Modules;
use super::mounts::{Mounted, PathKind};
use super::namespace::{ModelNamespace, Presents};
use super::node_file::ModelFile;
use super::others::Theirs;
use super::region::{ModelRegion, RegionSpec};
use super::tag::{Serial, Tag};

/// Numbers of block devices are used again, but not at once.
const MINORS: u32 = 256;
/// The driver of extended block device numbers.
const BLOCK_MAJOR: u32 = 259;

#[derive(Debug)]
pub(super) struct State {
    pub(super) regions: Vec<ModelRegion>,
    pub(super) namespaces: Vec<ModelNamespace>,
    pub(super) faults: Faults,
    pub(super) mounts: Vec<Mounted>,
    /// Directories and files at paths of requests. They are on a disk.
    pub(super) paths: BTreeMap<PathBuf, PathKind>,
    /// What others must find as they left it.
    pub(super) theirs: BTreeMap<Serial, Theirs>,
    /// What file systems began with whose first block reads as zeros now.
    pub(super) lost_superblocks: BTreeMap<Serial, Tag>,
    /// Volumes to which no zeros are written now.
    pub(super) held: BTreeSet<String>,
    /// Of all namespaces that ever were.
    uuids: BTreeMap<Serial, Option<Uuid>>,
    pub(super) changes: watch::Sender<u64>,
    /// Whose label is half written, if the run that writes it is killed with it.
    pub(super) under_way: Option<Serial>,
    violations: Vec<String>,
    /// How often raw bytes were read.
    pub(super) raw_reads: u64,
    /// On the disk of the node.
    pub(super) known_zeros: ModelFile,
    next_serial: u32,
    next_minor: u32,
    next_handle: u64,
    next_generation: u32,
}

impl State {
    pub(super) fn new(regions: &[RegionSpec]) -> Self {
        let made = regions.iter().enumerate();
        Self {
            regions: made
                .filter_map(|(position, spec)| ModelRegion::new(position, spec))
                .collect(),
            namespaces: Vec::new(),
            faults: Faults::default(),
            mounts: Vec::new(),
            paths: BTreeMap::new(),
            theirs: BTreeMap::new(),
            lost_superblocks: BTreeMap::new(),
            held: BTreeSet::new(),
            uuids: BTreeMap::new(),
            changes: watch::Sender::new(0),
            under_way: None,
            violations: Vec::new(),
            raw_reads: 0,
            known_zeros: ModelFile::default(),
            next_serial: 0,
            next_minor: 0,
            next_handle: 0,
            next_generation: 0,
        }
    }

    /// Tells whoever listens that something changed.
    pub(super) fn announce(&mut self) {
        if self.faults.refuses(Call::Announce).is_none() {
            self.changes.send_modify(|version| *version += 1);
        }
    }

    /// Remembers that something happened that must never happen.
    pub(super) fn violated(&mut self, what: String) {
        if !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(super) fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        for (position, region) in self.regions.iter().enumerate() {
            if !region.is_listed {
                continue;
            }
            inventory.regions.push(region.listed());
            let here = self.namespaces.iter().filter(|found| found.region == position);
            let is_disabled = region.state == RegionState::Disabled;
            let unseen = here.clone().filter(|_| is_disabled).chain(&region.ghosts);
            inventory
                .unseen
                .extend(unseen.flat_map(|found| unseen_labels(found, region)));
            if region.shows_namespaces && !is_disabled {
                inventory.namespaces.extend(here.map(|found| found.listed(region)));
            }
        }
        inventory
    }

    /// What a driver reads of the label areas of a region. Nobody else does anything between two looks of it here.
    pub(super) fn look_at_labels(&mut self, id: &RegionId) -> Option<Look> {
        if self.faults.refuses(Call::ReadBack).is_some() {
            return None;
        }
        let region = self.regions.get(self.region(id)?).filter(|region| region.is_listed)?;
        Some(Look {
            announced: 0,
            areas: region.areas.read(region.size),
        })
    }

    pub(super) fn region(&self, id: &RegionId) -> Option<usize> {
        self.regions.iter().position(|region| region.id == *id)
    }

    pub(super) fn namespace(&self, serial: Serial) -> Option<&ModelNamespace> {
        self.namespaces.iter().find(|found| found.serial == serial)
    }

    pub(super) fn namespace_mut(&mut self, serial: Serial) -> Option<&mut ModelNamespace> {
        self.namespaces.iter_mut().find(|found| found.serial == serial)
    }

    /// The namespace that the kernel calls so now.
    pub(super) fn of_device(&self, device: &str) -> Option<Serial> {
        let found = self.namespaces.iter().find(|found| found.device() == device);
        found.map(|found| found.serial)
    }

    /// Makes a namespace where the kernel wants it; none if it finds no space.
    pub(super) fn make(
        &mut self,
        region: usize,
        footprint: Bytes,
        label: Label,
        on_modules: OnModules,
    ) -> Option<Serial> {
        let here = self.namespaces.iter().filter(|found| found.region == region);
        let extent = self.regions[region].place(here.map(|found| found.extent), footprint)?;
        let labelled = Labelled {
            shown: label,
            on_modules,
        };
        Some(self.put(region, extent, labelled))
    }

    /// Puts a namespace at a place.
    pub(super) fn put(&mut self, region: usize, extent: Extent, label: Labelled) -> Serial {
        let serial = Serial(self.next_serial);
        self.next_serial += 1;
        let number = self.free_number(region);
        self.uuids.insert(serial, label.shown.uuid);
        let reached = match &label.on_modules {
            OnModules::Nothing => None,
            OnModules::Whole(_) => Some(Modules::All),
            OnModules::Mixed { .. } => Some(Modules::First),
        };
        if let Some(modules) = reached {
            self.regions[region].areas.write(&label.shown, extent, modules);
        }
        self.namespaces.push(ModelNamespace {
            serial,
            label,
            region,
            number,
            extent,
            presents: Presents::Disabled,
            raw_users: Vec::new(),
        });
        self.announce();
        serial
    }

    pub(super) fn free_number(&self, region: usize) -> u32 {
        let here = self.namespaces.iter().filter(|found| found.region == region);
        let used: BTreeSet<u32> = here.map(|found| found.number).collect();
        (0..u32::MAX).find(|number| !used.contains(number)).unwrap_or_default()
    }

    pub(super) fn next_handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }

    pub(super) fn next_generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation
    }

    /// The mode that is written in a namespace.
    pub(super) fn mode_of(&self, found: &ModelNamespace) -> Option<Mode> {
        if let Some(mode) = self.mode_of_theirs(found.serial) {
            return Some(mode);
        }
        let first = granules_of(found.extent).start;
        match self.regions[found.region].shown.at(first) {
            Tag::Info { of, mode } if self.has_uuid_of(found, of) => Some(mode),
            _ => None,
        }
    }

    /// Whether a namespace has the UUID that another had: the kernel takes what is written in it for its own then.
    fn has_uuid_of(&self, found: &ModelNamespace, other: Serial) -> bool {
        let uuid = found.label.shown.uuid;
        uuid.is_some() && self.uuids.get(&other) == Some(&uuid)
    }

    /// Brings a namespace up in the mode that is written in it.
    pub(super) fn enable(&mut self, serial: Serial) {
        let Some(found) = self.namespace(serial) else {
            return;
        };
        let presents = match self.mode_of(found) {
            None if self.is_devdax(serial) => Presents::Devdax,
            Some(mode) => Presents::Block(mode, self.free_block_number()),
            None => Presents::Raw,
        };
        self.present(serial, presents);
    }

    pub(super) fn present(&mut self, serial: Serial, presents: Presents) {
        if let Some(found) = self.namespace_mut(serial)
            && found.presents != presents
        {
            found.presents = presents;
            self.announce();
        }
    }

    fn free_block_number(&mut self) -> DeviceNumber {
        let number = |minor| DeviceNumber {
            major: BLOCK_MAJOR,
            minor,
        };
        let used: Vec<DeviceNumber> = self
            .namespaces
            .iter()
            .filter_map(|found| found.block().map(|(_, _, number)| number))
            .collect();
        while used.contains(&number(self.next_minor % MINORS)) {
            self.next_minor += 1;
        }
        let free = number(self.next_minor % MINORS);
        self.next_minor += 1;
        free
    }

    /// Who uses the block device or the raw bytes of a namespace.
    pub(super) fn user(&self, found: &ModelNamespace) -> Option<String> {
        let mut mounts = self.mounts.iter();
        if let Some(mount) = mounts.find(|mount| mount.serial == found.serial) {
            return Some(format!("mounted at {}", mount.mount.point.display()));
        }
        found.has_raw_user().then(|| "open exclusively".into())
    }

    /// Remembers it if a namespace is to be made for a volume that is seen to have one.
    pub(super) fn check_first(&mut self, volume: &str) {
        let has_one = self.inventory().of_volume(volume) != Ok(None);
        if has_one {
            self.violated(format!("a second namespace of volume {volume} is made"));
        }
    }

    /// Remembers it if a block device shows what somebody else wrote.
    pub(super) fn look(&mut self, serial: Serial, why: &str) {
        let Some((found, mode)) = self.namespace(serial).and_then(|found| Some((found, found.block()?.1))) else {
            return;
        };
        let region = &self.regions[found.region];
        let part = granules_of(found.shown_by(mode));
        let foreign = region.shown.runs(part).find(|(_, tag)| !tag.may_be_seen_in(serial));
        let what = foreign.map(|(run, tag)| {
            let title = found.title();
            format!("{why}: {title} shows {tag:?} in granules {run:?} of {}", region.id)
        });
        if let Some(what) = what {
            self.violated(what);
        }
    }
}

/// What the modules have of the label of a namespace that the kernel does not show.
fn unseen_labels(found: &ModelNamespace, region: &ModelRegion) -> Vec<UnseenLabel> {
    let labels = found.label.on_modules.candidates().into_iter().flatten();
    let unseen = labels.filter_map(|label| {
        Some(UnseenLabel {
            name: label.name.clone(),
            uuid: label.uuid?,
            region: region.id.clone(),
        })
    });
    unseen.collect()
}
