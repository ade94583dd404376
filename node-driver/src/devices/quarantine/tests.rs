//! On a simulated kernel: the lowest hole first, killed at any point, with somebody else at work.

use std::cell::{Cell, RefCell};

use crds::{BusProvider, PersistenceDomain};
use placement::{Alignment, Bytes, Offer};
use proptest::prelude::*;

use super::*;
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::NamespaceMode;
use crate::devices::mark;

const SIZE: Bytes = Bytes::mib(96);

/// What somebody else does between two of our steps.
#[derive(Clone, Copy, Debug)]
enum Other {
    Makes(u32),
    Destroys,
}

struct Kernel {
    inventory: RefCell<Inventory>,
    /// How many changes the driver made, and after how many it is killed.
    changes: Cell<u32>,
    killed_after: Cell<u32>,
    /// What somebody else does before the change of that number.
    others: Vec<(u32, Other)>,
}

fn region_id() -> RegionId {
    RegionId("nfit-0123456789ab".into())
}

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

fn page_at(mib: u32) -> Extent {
    Extent::new(Bytes::mib(mib), Bytes::kib(4))
}

fn inventory(unit: u32, bad: &[Extent]) -> Inventory {
    let region = Region {
        id: region_id(),
        device: "region0".into(),
        bus: BusProvider::Nfit,
        numa: None,
        size: SIZE,
        alignment: Alignment::try_from(Bytes::mib(unit)).unwrap(),
        ways: 1,
        persistence_domain: PersistenceDomain::Unknown,
        state: RegionState::Ready,
        message: String::new(),
        bad: bad.to_vec(),
        offer: Offer::EVERYTHING,
    };
    Inventory {
        regions: vec![region],
        namespaces: Vec::new(),
        unseen: Vec::new(),
        nothing: String::new(),
    }
}

impl Inventory {
    /// As the kernel makes it: in the lowest hole that fits, whether or not that is bad.
    fn add(&mut self, name: &str, uuid: Option<uuid::Uuid>, size: Bytes) -> Result<(), DeviceError> {
        let region = &self.regions[0];
        let view = placement::Region {
            id: region.id.clone(),
            numa: None,
            alignment: region.alignment,
            free: free_between(SIZE, self.namespaces.iter().map(|namespace| namespace.extent)),
        };
        let hole = view.hole_for(size).ok_or_else(|| DeviceError::NoSpace {
            region: region_id(),
            footprint: size,
        })?;
        let start = view.free[hole].aligned(region.alignment.get()).start;
        self.namespaces.push(Namespace {
            name: name.into(),
            uuid,
            is_recorded: true,
            device: format!("namespace0.{}", self.namespaces.len()),
            region: region_id(),
            extent: Extent::new(start, size),
            mode: NamespaceMode::Raw,
            block: None,
            usable: None,
        });
        Ok(())
    }

    fn take_foreign(&mut self) -> Option<Namespace> {
        let at = self
            .namespaces
            .iter()
            .position(|namespace| namespace.owner() == Owner::Foreign)?;
        Some(self.namespaces.remove(at))
    }

    fn foreign(&self) -> Vec<&Namespace> {
        let all = self.namespaces.iter();
        all.filter(|namespace| namespace.owner() == Owner::Foreign).collect()
    }

    /// What namespaces can be made of.
    fn usable_holes(&self) -> Vec<Extent> {
        let region = &self.regions[0];
        let unit = region.alignment.get();
        let holes = self.free(region).into_iter().map(|hole| hole.aligned(unit));
        holes.filter(|hole| !hole.size.is_zero()).collect()
    }
}

impl Kernel {
    fn new(inventory: Inventory) -> Self {
        Self {
            inventory: RefCell::new(inventory),
            changes: Cell::new(0),
            killed_after: Cell::new(u32::MAX),
            others: Vec::new(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inventory) -> Result<T, DeviceError>) -> Result<T, DeviceError> {
        let number = self.changes.replace(self.changes.get() + 1);
        let mut inventory = self.inventory.borrow_mut();
        for (_, other) in self.others.iter().filter(|(when, _)| *when == number) {
            match other {
                Other::Makes(units) => {
                    let size = inventory.regions[0].alignment.get().times((*units).into());
                    // There may be no hole for it.
                    let _ = inventory.add("theirs", None, size);
                }
                Other::Destroys => _ = inventory.take_foreign(),
            }
        }
        if number >= self.killed_after.get() {
            return Err(DeviceError::Listing("killed".into()));
        }
        change(&mut inventory)
    }

    fn cover(&self) -> Result<(), DeviceError> {
        cover(self, &region_id())
    }

    fn cover_killed_after(&self, changes: u32) {
        self.killed_after.set(self.changes.get() + changes);
        let _killed = self.cover();
        self.killed_after.set(u32::MAX);
    }
}

impl Pieces for Kernel {
    fn inventory(&self) -> Result<Inventory, DeviceError> {
        Ok(self.inventory.borrow().clone())
    }

    fn make(&self, _: &Inventory, new: &NewNamespace) -> Result<(), DeviceError> {
        let uuid = mark::uuid_of(&new.volume, 0);
        let name = mark::name(&new.volume, uuid, Stage::Making).unwrap();
        self.change(|inventory| inventory.add(&name, Some(uuid), new.footprint))
    }

    fn mark(&self, _: &Inventory, id: &str, stage: Stage) -> Result<(), DeviceError> {
        let uuid = mark::uuid_of(id, 0);
        self.change(|inventory| {
            let mut all = inventory.namespaces.iter_mut();
            let found = all.find(|namespace| namespace.uuid == Some(uuid));
            let found = found.ok_or_else(|| DeviceError::NotFound { name: id.into() })?;
            found.name = mark::name(id, uuid, stage).unwrap();
            Ok(())
        })
    }

    fn destroy(&self, _: &Inventory, id: &str) -> Result<(), DeviceError> {
        let uuid = mark::uuid_of(id, 0);
        self.change(|inventory| {
            inventory.namespaces.retain(|namespace| namespace.uuid != Some(uuid));
            Ok(())
        })
    }
}

/// A region with namespaces of somebody else, with holes between them, and with bad blocks anywhere.
fn regions() -> impl Strategy<Value = Inventory> {
    let unit = prop::sample::select(vec![2_u32, 6, 16]);
    let theirs = prop::collection::vec((1_u32..4, any::<bool>()), 0..12);
    let bad = prop::collection::vec((0_u32..24_576, 1_u32..1_000), 1..6);
    (unit, theirs, bad).prop_map(|(unit, theirs, bad)| {
        let bad: Vec<Extent> = bad
            .iter()
            .map(|(page, pages)| Extent::new(Bytes::kib(page * 4), Bytes::kib(pages * 4)))
            .collect();
        let mut inventory = inventory(unit, &bad);
        for (units, stays) in theirs {
            let name = if stays { "theirs" } else { "gone" };
            // The region may be full.
            let _ = inventory.add(name, None, Bytes::mib(units * unit));
        }
        inventory.namespaces.retain(|namespace| namespace.name == "theirs");
        inventory
    })
}

/// Every unit of every namespace in quarantine has bad blocks, and nothing of somebody else is in it.
fn check_quarantine(inventory: &Inventory) {
    let region = &inventory.regions[0];
    let unit = region.alignment.get();
    for namespace in inventory
        .namespaces
        .iter()
        .filter(|namespace| is_quarantined(namespace))
    {
        let mut start = namespace.extent.start;
        while start < namespace.extent.end() {
            let part = Extent::new(start, unit);
            assert!(region.bad.iter().any(|bad| bad.overlaps(part)), "{namespace:?}");
            start = start.plus(unit);
        }
    }
}

fn check_covered(inventory: &Inventory) {
    check_quarantine(inventory);
    let region = &inventory.regions[0];
    assert_eq!(inventory.exposed(region), []);
    assert_eq!(inventory.temporary(&region.id).count(), 0);
    assert_eq!(inventory.to_cover().count(), 0);
    for hole in inventory.usable_holes() {
        assert!(!region.bad.iter().any(|bad| bad.overlaps(hole)), "{hole:?} is bad");
    }
}

proptest! {
    #[test]
    fn exactly_the_bad_units_are_covered_and_nothing_that_is_shown_free_changes(before in regions()) {
        let kernel = Kernel::new(before.clone());
        kernel.cover().unwrap();
        let after = kernel.inventory.into_inner();
        check_covered(&after);
        prop_assert_eq!(after.usable_holes(), before.usable_holes());
        prop_assert_eq!(after.foreign(), before.foreign());
    }

    #[test]
    fn killed_at_any_point_converges(before in regions(), changes in prop::collection::vec(0_u32..30, 1..3)) {
        let kernel = Kernel::new(before.clone());
        for changes in changes {
            kernel.cover_killed_after(changes);
            check_quarantine(&kernel.inventory.borrow());
        }
        kernel.cover().unwrap();
        let after = kernel.inventory.into_inner();
        check_covered(&after);
        prop_assert_eq!(after.usable_holes(), before.usable_holes());
        prop_assert_eq!(after.foreign(), before.foreign());
    }

    #[test]
    fn somebody_else_at_work_gets_nothing_of_theirs_into_quarantine(
        before in regions(),
        others in prop::collection::vec((0_u32..20, prop_oneof![(1_u32..4).prop_map(Other::Makes), Just(Other::Destroys)]), 1..4),
    ) {
        let mut kernel = Kernel::new(before);
        kernel.others = others;
        // It may be told that it did not work.
        let _ = kernel.cover();
        check_quarantine(&kernel.inventory.borrow());
        prop_assert_eq!(kernel.inventory.borrow().temporary(&region_id()).count(), 0);
        kernel.others.clear();
        kernel.cover().unwrap();
        check_covered(&kernel.inventory.into_inner());
    }
}

#[test]
fn the_lowest_hole_is_filled_while_a_higher_one_is_covered() {
    let mut before = inventory(2, &[page_at(71)]);
    for (name, size) in [("gone", 16), ("theirs", 16)] {
        before.add(name, None, Bytes::mib(size)).unwrap();
    }
    before.take_foreign().unwrap();
    let kernel = Kernel::new(before);
    kernel.cover().unwrap();
    let after = kernel.inventory.into_inner();
    let covering = after
        .namespaces
        .iter()
        .find(|namespace| is_quarantined(namespace))
        .unwrap();
    assert_eq!(covering.extent, mib(70, 2));
    assert_eq!(covering.name, "bad_nfit-0123456789ab_4600000.q");
    assert_eq!(after.usable_holes(), [mib(0, 16), mib(32, 38), mib(72, 24)]);
}

#[test]
fn without_bad_blocks_nothing_is_made() {
    let kernel = Kernel::new(inventory(2, &[]));
    kernel.cover_killed_after(0);
    kernel.cover().unwrap();
    assert!(kernel.inventory.into_inner().namespaces.is_empty());
}

#[test]
fn where_not_all_namespaces_are_seen_nothing_is_exposed() {
    for state in [RegionState::Disabled, RegionState::Unprepared, RegionState::NotSeen] {
        let mut hidden = inventory(2, &[page_at(71)]);
        hidden.regions[0].state = state;
        assert_eq!(hidden.exposed(&hidden.regions[0]), []);
        assert_eq!(hidden.to_cover().count(), 0);
    }
}

#[test]
fn the_report_says_where_and_how_to_release() {
    let mut before = inventory(2, &[page_at(11), page_at(71)]);
    before.add("volume", None, Bytes::mib(16)).unwrap();
    let message = |inventory: &Inventory| {
        let shown = inventory.quarantine(&inventory.regions[0]);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].extent, mib(70, 2));
        shown[0].message.clone()
    };
    assert_eq!(
        message(&before),
        "4 KiB of bad blocks, the first at 71 MiB of the region in free space: the driver covers them with a namespace, which \
         says how to release them"
    );
    let kernel = Kernel::new(before);
    kernel.cover().unwrap();
    let mut after = kernel.inventory.into_inner();
    let device = after
        .namespaces
        .iter()
        .find(|namespace| is_quarantined(namespace))
        .unwrap()
        .device
        .clone();
    assert_eq!(
        message(&after),
        format!(
            "{device} has 4 KiB of bad blocks, the first at 71 MiB of the region: `ndctl clear-errors {device}` clears them if the \
             module can, else replace the module; then `ndctl destroy-namespace --force {device}` gives the bytes back"
        )
    );
    after.regions[0].bad.clear();
    assert_eq!(
        message(&after),
        format!(
            "{device} has bytes that could not be zeroed, and the kernel lists no bad blocks in it now: `ndctl \
             destroy-namespace --force {device}` gives the bytes back"
        )
    );
}
