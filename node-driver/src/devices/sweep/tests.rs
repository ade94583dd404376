use crds::{BusProvider, PersistenceDomain, RegionState};
use placement::{Alignment, Bytes, Offer};

use super::*;
use crate::devices::inventory::{Location, NamespaceMode, UnseenLabel};
use crate::devices::mark;

const SIZE: Bytes = Bytes::mib(128);

fn region_id() -> RegionId {
    RegionId("nfit-0123456789ab".into())
}

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

fn namespace(id: &str, stage: Stage, extent: Extent) -> Namespace {
    let uuid = mark::uuid_of(id, 0);
    Namespace {
        name: mark::name(id, uuid, stage).unwrap(),
        uuid: Some(uuid),
        is_recorded: true,
        device: "namespace0.1".into(),
        region: region_id(),
        extent,
        mode: NamespaceMode::Raw,
        block: None,
        usable: None,
    }
}

fn sweep(extent: Extent) -> Namespace {
    namespace(
        &sweep_id(&region_id(), extent, Timestamp::UNIX_EPOCH),
        Stage::Making,
        extent,
    )
}

/// A region of 128 MiB with these namespaces.
fn inventory(namespaces: Vec<Namespace>) -> Inventory {
    let region = Region {
        id: region_id(),
        device: "region0".into(),
        bus: BusProvider::Nfit,
        numa: None,
        size: SIZE,
        alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
        ways: 1,
        persistence_domain: PersistenceDomain::Unknown,
        state: RegionState::Ready,
        message: String::new(),
        bad: Vec::new(),
        offer: Offer::EVERYTHING,
    };
    Inventory {
        regions: vec![region],
        namespaces,
        ..Inventory::default()
    }
}

/// Holes of 16, 64 and 32 MiB.
fn with_holes() -> Inventory {
    let volume = |id, start, size| namespace(id, Stage::InUse, mib(start, size));
    inventory(vec![volume("a", 16, 8), volume("b", 88, 8)])
}

fn next(inventory: &Inventory, unknown: &[Extent]) -> Option<Extent> {
    inventory.next_sweep(&inventory.regions[0], unknown)
}

#[test]
fn whole_holes_are_swept_where_the_kernel_puts_a_namespace_of_their_size() {
    let inventory = with_holes();
    assert_eq!(next(&inventory, &[mib(4, 2), mib(40, 2)]), Some(mib(0, 16)));
    assert_eq!(next(&inventory, &[mib(40, 2), mib(100, 2)]), Some(mib(24, 64)));
    // The kernel would put 32 MiB into the hole of 64.
    assert_eq!(next(&inventory, &[mib(100, 2)]), None);
    assert_eq!(next(&inventory, &[]), None);
}

/// After a reboot it may be there, with its data.
#[test]
fn nothing_is_swept_where_the_kernel_may_hide_a_namespace() {
    let mut inventory = with_holes();
    inventory.unseen.push(UnseenLabel {
        name: "v".into(),
        uuid: mark::uuid_of("v", 0),
        region: region_id(),
    });
    assert_eq!(next(&inventory, &[mib(4, 2)]), None);
}

#[test]
fn what_is_swept_counts_as_free_and_for_no_volume() {
    let volume = || namespace("v", Stage::InUse, mib(64, 64));
    let free = inventory(vec![volume()]);
    // The kernel counts nothing as free then.
    let mut swept = inventory(vec![volume(), sweep(mib(0, 64))]);
    (swept.regions[0].offer.largest, swept.regions[0].offer.total) = (Bytes::ZERO, Bytes::ZERO);
    assert_eq!(swept.to_status(|_| false), free.to_status(|_| false));
    assert_eq!(swept.unknown(&swept.regions[0], &[mib(0, 16)]), [mib(16, 48)]);
    assert!(swept.is_to_clear(&region_id()) && !free.is_to_clear(&region_id()));
    assert_eq!(swept.to_cover().count(), 0, "there is no bad block");
}

#[test]
fn parts_of_what_was_swept_are_zero() {
    let place = |extent| Location {
        region: region_id(),
        extent,
    };
    let swept = sweep(mib(0, 64));
    let parts = [place(mib(0, 16)), place(mib(32, 64))];
    assert_eq!(Inventory::erased(&swept, &parts), [mib(0, 16)]);
    // Of a volume, all or nothing; and what was only read is nothing.
    let volume = namespace("v", Stage::Erasing, mib(0, 64));
    assert_eq!(Inventory::erased(&volume, &parts), []);
    assert_eq!(Inventory::erased(&volume, &[place(mib(0, 64))]), [mib(0, 64)]);
    let made = namespace("v", Stage::Making, mib(0, 64));
    assert_eq!(Inventory::erased(&made, &[place(mib(0, 64))]), []);
}

#[test]
fn nobody_makes_a_volume_with_such_an_id() {
    let late = Timestamp::from_second(i64::from(u32::MAX)).unwrap();
    let id = sweep_id(&region_id(), Extent::new(Bytes::mib(16 << 20), Bytes::mib(16)), late);
    assert!(id.contains('_'), "{id}");
    assert!(
        mark::name(&id, mark::uuid_of(&id, 0), Stage::Making).is_some(),
        "{id} is too long"
    );
}
