//! As everything is, whatever is shown of it: for those who check invariants.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crds::RegionState;
use node_driver::devices::{Namespace, Owner, Stage, owner_of};
use node_driver::filesystem::Filesystem;
use placement::{Bytes, Extent, NumaNode, RegionId, free_between};

use super::granules::granules_of;
use super::label::{Label, OnModules};
use super::machine::Machine;
use super::mounts::Shows;
use super::namespace::ModelNamespace;
use super::region::ModelRegion;
use super::state::State;
use super::tag::{Serial, Tag};

/// A machine as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// All regions, listed or not.
    pub regions: Vec<TrueRegion>,
    /// All namespaces, shown or not.
    pub namespaces: Vec<TrueNamespace>,
    /// All mounts, in the order in which they were made.
    pub mounts: Vec<TrueMount>,
}

/// A region as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueRegion {
    /// Its stable name.
    pub id: RegionId,
    /// The NUMA node of its modules.
    pub numa: Option<NumaNode>,
    /// All its bytes.
    pub size: Bytes,
    /// Whether the kernel lists it.
    pub is_listed: bool,
    /// What the driver is shown of it.
    pub state: RegionState,
    /// What no namespace takes; bad blocks count as well.
    pub free: Vec<Extent>,
    /// All bad blocks, known or not.
    pub bad: Vec<Extent>,
    /// How many namespaces come back with the next reboot, because their labels could not be deleted.
    pub ghosts: usize,
}

/// A namespace as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueNamespace {
    /// Another for each namespace that ever was.
    pub serial: Serial,
    /// As the kernel shows it.
    pub namespace: Namespace,
    /// Whether somebody else made it.
    pub is_theirs: bool,
    /// What its label may be after a power loss, by name; none: it may be gone.
    pub after_power_loss: Vec<Option<String>>,
    /// What pods wrote that is in it.
    pub tokens: BTreeSet<u64>,
    /// The file system at the start of its block device.
    pub filesystem: Option<Filesystem>,
    /// What its raw bytes are, also after a power loss.
    pub holds: Holds,
    /// Whether its block device shows what somebody else wrote.
    pub shows_others: bool,
    /// Where it is mounted or bound.
    pub mounts: Vec<PathBuf>,
}

/// What raw bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Each is zero.
    Zeros,
    /// Nothing but zeros, and what the kernel needs for the mode of the namespace.
    Blank,
    /// Something else.
    Something,
}

/// A mount as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueMount {
    /// Where it is.
    pub point: PathBuf,
    /// The namespace.
    pub serial: Serial,
    /// The id of the volume, if it is one.
    pub volume: Option<String>,
    /// Whether nothing can be written through it.
    pub is_read_only: bool,
    /// Whether it is the node of the block device, not its file system.
    pub is_device: bool,
}

impl Truth {
    /// The namespaces with the mark of a volume, whatever its stage.
    pub fn of_volume<'a>(&'a self, volume: &'a str) -> impl Iterator<Item = (&'a TrueNamespace, Stage)> {
        self.namespaces.iter().filter_map(move |found| {
            let (id, stage) = found.volume()?;
            (id == volume).then_some((found, stage))
        })
    }
}

impl TrueNamespace {
    /// Whose it is, as the kernel shows it.
    #[must_use]
    pub fn owner(&self) -> Owner<'_> {
        owner_of(&self.namespace.name, self.namespace.uuid)
    }

    /// The id of its volume, and how far it has come, if it has a mark.
    #[must_use]
    pub fn volume(&self) -> Option<(&str, Stage)> {
        match self.owner() {
            Owner::Ours(mark) => Some((mark.volume, mark.stage)),
            Owner::Newer { .. } | Owner::Foreign => None,
        }
    }
}

impl State {
    pub(super) fn truth(&mut self) -> Truth {
        self.check_theirs();
        let regions = self.regions.iter().enumerate();
        Truth {
            regions: regions
                .map(|(position, region)| self.true_region(position, region))
                .collect(),
            namespaces: self.namespaces.iter().map(|found| self.true_namespace(found)).collect(),
            mounts: self.true_mounts(),
        }
    }

    fn true_region(&self, position: usize, region: &ModelRegion) -> TrueRegion {
        let here = self.namespaces.iter().filter(|found| found.region == position);
        TrueRegion {
            id: region.id.clone(),
            numa: region.numa,
            size: region.size,
            is_listed: region.is_listed,
            state: region.shown_state(),
            free: free_between(region.size, here.map(|found| found.extent)),
            bad: region.bad.iter().chain(&region.bad_unknown).copied().collect(),
            ghosts: region.ghosts.len(),
        }
    }

    fn true_namespace(&self, found: &ModelNamespace) -> TrueNamespace {
        let region = &self.regions[found.region];
        let serial = found.serial;
        let all = region.shown.runs(granules_of(found.extent));
        let shown = found.block().map(|(_, mode, _)| granules_of(found.shown_by(mode)));
        let mut seen = shown.clone().into_iter().flat_map(|part| region.shown.runs(part));
        let mounts = self.mounts.iter().filter(|mounted| mounted.serial == serial);
        TrueNamespace {
            serial,
            namespace: found.listed(region),
            is_theirs: self.theirs.contains_key(&serial),
            after_power_loss: after_power_loss(&found.label.on_modules),
            tokens: all.filter_map(|(_, tag)| tag.token()).collect(),
            filesystem: shown.and_then(|part| filesystem(region.shown.at(part.start))),
            holds: holds(region, found),
            shows_others: seen.any(|(_, tag)| !tag.may_be_seen_in(serial)),
            mounts: mounts.map(|mounted| mounted.mount.point.clone()).collect(),
        }
    }

    fn true_mounts(&self) -> Vec<TrueMount> {
        let mounts = self.mounts.iter().map(|mounted| TrueMount {
            point: mounted.mount.point.clone(),
            serial: mounted.serial,
            volume: self
                .namespace(mounted.serial)
                .and_then(|found| Some(found.label.shown.mark()?.volume.to_owned())),
            is_read_only: mounted.mount.read_only(),
            is_device: mounted.shows != Shows::Filesystem,
        });
        mounts.collect()
    }
}

fn holds(region: &ModelRegion, found: &ModelNamespace) -> Holds {
    let is_info = |tag: Tag| matches!(tag, Tag::Info { of, .. } if of == found.serial);
    if region.holds_only(found.extent, |tag| tag == Tag::Zero) {
        Holds::Zeros
    } else if region.holds_only(found.extent, |tag| tag == Tag::Zero || is_info(tag)) {
        Holds::Blank
    } else {
        Holds::Something
    }
}

fn filesystem(tag: Tag) -> Option<Filesystem> {
    match tag {
        Tag::Superblock { fs, .. } => Some(fs),
        _ => None,
    }
}

fn after_power_loss(on_modules: &OnModules) -> Vec<Option<String>> {
    let name = |label: Option<&Label>| label.map(|label| label.name.clone());
    on_modules.candidates().into_iter().map(name).collect()
}

impl Machine {
    /// Whether every byte of an extent is zero, also after a power loss.
    #[must_use]
    pub fn is_zero(&self, region: &str, extent: Extent) -> bool {
        self.holds_only(region, extent, |tag| tag == Tag::Zero)
    }

    /// Whether every byte of an extent has this token, but for what the kernel needs there.
    #[must_use]
    pub fn has_token(&self, region: &str, extent: Extent, token: u64) -> bool {
        self.holds_only(region, extent, |tag| {
            matches!(tag, Tag::Info { .. }) || tag.token() == Some(token)
        })
    }

    fn holds_only(&self, region: &str, extent: Extent, is_fine: impl Fn(Tag) -> bool) -> bool {
        let state = self.state();
        let mut regions = state.regions.iter();
        let found = regions.find(|found| found.id.0 == region);
        found.is_some_and(|found| found.holds_only(extent, is_fine))
    }
}
