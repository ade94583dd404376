//! What others do with the same memory: people with `ndctl`, and drivers of before there were marks.

use node_driver::devices::{NamespaceMode, Owner};
use placement::{Bytes, Extent, MapLocation, Mode, RegionId};
use uuid::Uuid;

use super::label::{Label, Labelled, OnModules};
use super::label_area::Modules;
use super::machine::Machine;
use super::namespace::Presents;
use super::state::State;
use super::tag::{Serial, Tag};

/// What others must find as they left it.
#[derive(Clone, Debug)]
pub(super) struct Theirs {
    label: Label,
    region: usize,
    extent: Extent,
    mode: NamespaceMode,
}

/// The map is where `ndctl` puts it unless told otherwise.
const FSDAX: Mode = Mode::Fsdax(MapLocation::Dev);

impl Machine {
    /// A namespace that somebody made and filled, at a place.
    pub fn put_foreign(&self, name: &str, region: &str, extent: Extent, mode: NamespaceMode) {
        let mut state = self.state();
        if let Some(position) = state.region(&RegionId(region.to_owned())) {
            let start = u128::from(extent.start.get_u64());
            let uuid = Uuid::from_u128(start + 1);
            state.put_theirs(name, uuid, position, extent, mode);
        }
    }

    /// A volume as a driver left it of before there were marks, with its data.
    pub fn put_earlier(&self, volume: &str, region: &str, extent: Extent, token: u64) {
        let mut state = self.state();
        let Some(position) = state.region(&RegionId(region.to_owned())) else {
            return;
        };
        let label = Label {
            name: volume.to_owned(),
            uuid: Some(Uuid::from_u128(u128::from(extent.start.get_u64()) + 1)),
        };
        let serial = state.put(position, extent, Labelled::whole(label));
        let info = Tag::Info {
            of: serial,
            mode: FSDAX,
        };
        let before = state.namespace(serial).map(|found| found.info_of(FSDAX));
        state.regions[position].write(before.unwrap_or(extent), info);
        state.enable(serial);
        state.fill(serial, token);
    }

    /// An administrator takes a namespace away, whatever is in it.
    pub fn destroy_by_hand(&self, device: &str) {
        let mut state = self.state();
        if let Some(serial) = state.of_device(device) {
            state.theirs.remove(&serial);
            state.take_away(serial);
        }
    }

    /// An administrator disables a namespace.
    pub fn disable_by_hand(&self, device: &str) {
        let mut state = self.state();
        if let Some(serial) = state.of_device(device) {
            state.present(serial, Presents::Disabled);
        }
    }

    /// An administrator enables a namespace.
    pub fn enable_by_hand(&self, device: &str) {
        let mut state = self.state();
        if let Some(serial) = state.of_device(device) {
            state.enable(serial);
        }
    }

    /// An administrator, or a newer version of the driver, gives a namespace another name.
    pub fn rename_by_hand(&self, device: &str, name: &str) {
        let mut state = self.state();
        let serial = state.of_device(device);
        if let Some(found) = serial.and_then(|serial| state.namespace_mut(serial)) {
            let label = Label {
                name: name.to_owned(),
                uuid: found.label.shown.uuid,
            };
            found.label = Labelled::whole(label.clone());
            let (region, extent) = (found.region, found.extent);
            state.regions[region].areas.write(&label, extent, Modules::All);
            state.announce();
        }
    }

    /// The volume in a namespace has this token in every byte of its block device, whoever wrote it.
    pub fn fill_by_hand(&self, device: &str, token: u64) {
        let mut state = self.state();
        if let Some(serial) = state.of_device(device) {
            state.fill(serial, token);
        }
    }
}

impl State {
    pub(super) fn foreign_create(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        let ready = |(position, region): (usize, &super::region::ModelRegion)| {
            let is_ready = region.is_listed && region.shown_state() == crds::RegionState::Ready;
            is_ready.then_some(position)
        };
        let ready: Vec<usize> = self.regions.iter().enumerate().filter_map(ready).collect();
        let region = *rng.choice(&ready)?;
        let modes = [
            NamespaceMode::Raw,
            NamespaceMode::Fsdax,
            NamespaceMode::Sector,
            NamespaceMode::Devdax,
        ];
        let mode = *rng.choice(&modes)?;
        let unit = self.regions[region].alignment.get();
        let size = Bytes::mib(16).round_up(unit).plus(unit.times(rng.i64(0..4)));
        let name = self.foreign_name(rng);
        let uuid = Uuid::from_u128(rng.u128(1..));
        let label = Label {
            name: name.clone(),
            uuid: Some(uuid),
        };
        let serial = self.make(region, size, label.clone(), OnModules::Whole(label))?;
        self.become_theirs(serial, mode);
        Some(name)
    }

    /// Now and then it is the id of a volume.
    fn foreign_name(&self, rng: &mut fastrand::Rng) -> String {
        let volumes: Vec<&str> = self
            .namespaces
            .iter()
            .filter_map(|found| Some(found.label.shown.mark()?.volume))
            .collect();
        match rng.choice(&volumes) {
            Some(volume) if rng.u8(0..4) == 0 => (*volume).to_owned(),
            _ => format!("theirs-{}", rng.u32(..)),
        }
    }

    pub(super) fn foreign_destroy(&mut self, rng: &mut fastrand::Rng) -> Option<String> {
        let unused = |serial: &&Serial| self.namespace(**serial).is_some_and(|found| self.user(found).is_none());
        let theirs: Vec<Serial> = self.theirs.keys().filter(unused).copied().collect();
        let gone = *rng.choice(&theirs)?;
        let theirs = self.theirs.remove(&gone)?;
        self.take_away(gone);
        Some(theirs.label.name)
    }

    pub(super) fn foreign_destroy_last(&mut self) {
        if let Some((serial, _)) = self.theirs.pop_last() {
            self.take_away(serial);
        }
    }

    fn take_away(&mut self, serial: Serial) {
        for gone in self.namespaces.extract_if(.., |found| found.serial == serial) {
            let areas = &mut self.regions[gone.region].areas;
            areas.delete(gone.label.shown.uuid, Modules::All);
        }
        self.announce();
    }

    fn put_theirs(&mut self, name: &str, uuid: Uuid, region: usize, extent: Extent, mode: NamespaceMode) {
        let label = Label {
            name: name.to_owned(),
            uuid: Some(uuid),
        };
        let serial = self.put(region, extent, Labelled::whole(label));
        self.become_theirs(serial, mode);
    }

    fn become_theirs(&mut self, serial: Serial, mode: NamespaceMode) {
        let Some(found) = self.namespace(serial) else {
            return;
        };
        let theirs = Theirs {
            label: found.label.shown.clone(),
            region: found.region,
            extent: found.extent,
            mode,
        };
        self.regions[theirs.region].write(theirs.extent, Tag::Foreign { of: serial });
        self.theirs.insert(serial, theirs);
        self.enable(serial);
    }

    pub(super) fn mode_of_theirs(&self, serial: Serial) -> Option<Mode> {
        match self.theirs.get(&serial)?.mode {
            NamespaceMode::Fsdax => Some(FSDAX),
            NamespaceMode::Sector => Some(Mode::Sector),
            NamespaceMode::Raw | NamespaceMode::Devdax => None,
        }
    }

    pub(super) fn is_devdax(&self, serial: Serial) -> bool {
        let theirs = self.theirs.get(&serial);
        theirs.is_some_and(|theirs| theirs.mode == NamespaceMode::Devdax)
    }

    /// Remembers it if the driver does something to what is somebody else's.
    pub(super) fn must_not_be_theirs(&mut self, serial: Serial, verb: &str) {
        let is_newer = self
            .namespace(serial)
            .is_some_and(|found| matches!(found.label.shown.owner(), Owner::Newer { .. }));
        if self.theirs.contains_key(&serial) || is_newer {
            let title = self.namespace(serial).map(super::namespace::ModelNamespace::title);
            self.violated(format!("{} is {verb}", title.unwrap_or_default()));
        }
    }

    /// Remembers it if something of others is not as they left it.
    pub(super) fn check_theirs(&mut self) {
        let wrong: Vec<String> = self
            .theirs
            .iter()
            .filter_map(|(serial, theirs)| {
                let what = self.what_became_of(*serial, theirs)?;
                Some(format!("somebody's namespace {:?} {what}", theirs.label.name))
            })
            .collect();
        for what in wrong {
            self.violated(what);
        }
    }

    fn what_became_of(&self, serial: Serial, theirs: &Theirs) -> Option<&'static str> {
        let Some(found) = self.namespace(serial) else {
            return Some("is gone");
        };
        let tag = Tag::Foreign { of: serial };
        if !found.label.is_always(|label| *label == theirs.label) {
            Some("has another label")
        } else if (found.region, found.extent) != (theirs.region, theirs.extent) {
            Some("is at another place")
        } else if !self.regions[theirs.region].holds_only(theirs.extent, |found| found == tag) {
            Some("has other bytes")
        } else {
            None
        }
    }
}
