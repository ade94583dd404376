//! What a power loss and a reboot leave.

use std::ops::Range;

use super::granules::Granules;
use super::label::Choice;
use super::namespace::{ModelNamespace, Presents};
use super::region::ModelRegion;
use super::state::State;
use super::tag::{Serial, Tag};
use crds::RegionState;

impl State {
    pub(super) fn cut_power(&mut self, rng: &mut fastrand::Rng) {
        for region in &mut self.regions {
            lose_unflushed(region, rng);
        }
        self.known_zeros.cut_power(rng);
        let torn = self.under_way;
        self.start_kernel(&mut |choice| match choice {
            Asked::Label(_) => rng.bool(),
            Asked::Ghost(serial) => torn != Some(serial) || rng.bool(),
        });
    }

    pub(super) fn reboot(&mut self) {
        self.known_zeros.sync();
        for region in &mut self.regions {
            region.durable.clone_from(&region.shown);
        }
        self.start_kernel(&mut |asked| match asked {
            Asked::Label(choice) => choice == Choice::New,
            Asked::Ghost(_) => true,
        });
    }

    /// The kernel finds what the modules have, and brings up what it can.
    fn start_kernel(&mut self, choose: &mut impl FnMut(Asked) -> bool) {
        self.mounts.clear();
        self.under_way = None;
        for region in &mut self.regions {
            for ghost in std::mem::take(&mut region.ghosts) {
                if choose(Asked::Ghost(ghost.serial)) {
                    self.namespaces.push(ghost);
                }
            }
            if region.state == RegionState::Disabled {
                region.state = RegionState::Ready;
                region.shows_namespaces = true;
            }
        }
        self.namespaces
            .retain_mut(|found| found.label.read_again(|choice| choose(Asked::Label(choice))));
        self.name_anew();
        let all: Vec<_> = self.namespaces.iter().map(|found| found.serial).collect();
        for serial in all {
            self.enable(serial);
        }
        self.announce();
    }

    /// Names of the kernel change from boot to boot.
    fn name_anew(&mut self) {
        let place = |found: &ModelNamespace| (found.region, found.extent);
        self.namespaces.sort_by_key(place);
        let mut last = None;
        let mut number = 0;
        for found in &mut self.namespaces {
            number = if last == Some(found.region) { number + 1 } else { 0 };
            last = Some(found.region);
            found.number = number;
            found.presents = Presents::Disabled;
            found.raw_users.clear();
        }
    }

    /// Whether somebody uses a namespace of a region.
    pub(super) fn uses_region(&self, id: &str) -> bool {
        let mut here = self.namespaces.iter();
        here.any(|found| self.regions[found.region].id.0 == id && self.user(found).is_some())
    }
}

/// What is open when a kernel starts.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// A label that is not the same on all modules.
    Label(Choice),
    /// Whether a namespace is there again whose label could not be deleted.
    Ghost(Serial),
}

/// Of what was not flushed, any granule may be old or new.
fn lose_unflushed(region: &mut ModelRegion, rng: &mut fastrand::Rng) {
    let mut after = region.durable.clone();
    for (run, old) in region.durable.runs(region.durable.all()) {
        for (part, new) in region.shown.runs(run) {
            if new != old {
                keep_some(&mut after, part, new, rng);
            }
        }
    }
    region.shown = after.clone();
    region.durable = after;
}

/// All of it, none, the first part, or any.
fn keep_some(after: &mut Granules, part: Range<u64>, new: Tag, rng: &mut fastrand::Rng) {
    match rng.u8(0..4) {
        0 => {}
        1 => after.set(part, new),
        2 => {
            let end = rng.u64(part.start..=part.end);
            after.set(part.start..end, new);
        }
        _ => {
            for granule in part {
                if rng.bool() {
                    after.set(granule..granule + 1, new);
                }
            }
        }
    }
}
