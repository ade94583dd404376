use std::sync::Arc;

use crds::{EraseProgress, PmemVolumeStatus, VolumeMode};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use placement::{Bytes, Extent, Mode, RegionId};

use super::*;
use crate::devices::{Attach, Devices, Emulated, Inventory, NewNamespace, Stage};
use crate::layout::Listing;

fn inventory() -> Inventory {
    inventory_with(Stage::HandedOut)
}

/// The volumes with an object and without one are at that stage.
fn inventory_with(stage: Stage) -> Inventory {
    let directory = tempfile::tempdir().unwrap();
    let regions = ["64Mi@0".parse().unwrap(), "128Mi@1".parse().unwrap()];
    let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
    let region = RegionId("emulated-0".into());
    for volume in ["ours", "kept", "old"] {
        let new = NewNamespace {
            volume: volume.into(),
            region: region.clone(),
            footprint: Bytes::mib(16),
        };
        devices.create(&new).unwrap();
        devices.configure(volume, Mode::Sector).unwrap();
        devices.mark(volume, Stage::HandedOut).unwrap();
        devices.mark(volume, stage).unwrap();
    }
    devices.mark("old", Stage::Erasing).unwrap();
    devices.create_foreign("theirs", &region, Bytes::mib(2)).unwrap();
    devices.inventory().unwrap()
}

fn listed(inventory: Inventory) -> LastListing {
    let listing = Listing {
        inventory: Arc::new(inventory),
        away: Away::default(),
        revision: 3,
    };
    LastListing {
        listing: Some(listing),
        error: None,
    }
}

fn next(before: &PmemNodeStatus, last: &LastListing) -> Option<PmemNodeStatus> {
    let now = Timestamp::from_second(1).unwrap();
    next_at(before, last, now)
}

/// "ours" has its object; one MiB of "old" is zero.
fn next_at(before: &PmemNodeStatus, last: &LastListing, now: Timestamp) -> Option<PmemNodeStatus> {
    let spec = serde_json::json!({ "node": "n", "required": 1, "mode": "sector" });
    let objects = [Arc::new(PmemVolume::new("ours", serde_json::from_value(spec).unwrap()))];
    let (done, total) = (Bytes::mib(1), Bytes::mib(16));
    let old = ErasingVolume {
        name: "old".into(),
        progress: EraseProgress { done, total },
        over_at: Some(Time(Timestamp::UNIX_EPOCH)),
        message: String::new(),
    };
    let known = KnownVolumes {
        objects: &objects,
        erasing: &[("old".to_owned(), old)].into(),
        unknown: &UnknownBytes::new(),
    };
    next_status(before, last, "emulated", known, now)
}

fn condition<'a>(status: &'a PmemNodeStatus, kind: &str) -> &'a Condition {
    let mut all = status.conditions.iter();
    all.find(|condition| condition.type_ == kind).unwrap()
}

#[test]
fn shows_free_extents_and_counts_what_is_not_ours() {
    let status = next(&PmemNodeStatus::default(), &listed(inventory())).unwrap();
    assert_eq!(status.layout_revision, 3);
    assert_eq!(status.backend, "emulated");
    assert_eq!(status.totals.size, Bytes::mib(192));
    assert_eq!(status.totals.free, Bytes::mib(142));
    assert_eq!(status.totals.largest, Bytes::mib(128));
    assert_eq!(status.regions[0].foreign.count, 1);
    assert_eq!(status.regions[0].foreign.bytes, Bytes::mib(2));
    assert_eq!(status.regions[0].volumes, ["ours", "kept"]);
    assert_eq!(condition(&status, "Ready").message, "2 of 2 regions ready");
    assert_eq!(condition(&status, "Prepared").status, "True");
}

#[test]
fn shows_what_has_no_object() {
    let status = next(&PmemNodeStatus::default(), &listed(inventory())).unwrap();
    let [kept] = &status.regions[0].kept[..] else {
        panic!("{:?}", status.regions[0].kept);
    };
    assert_eq!((kept.name.as_str(), kept.mode), ("kept", Some(VolumeMode::Sector)));
    assert_eq!(kept.usable, Some(Mode::Sector.usable(Bytes::mib(16))));
    let [old] = &status.regions[0].erasing[..] else {
        panic!("{:?}", status.regions[0].erasing);
    };
    assert_eq!((old.progress.done, old.progress.total), (Bytes::mib(1), Bytes::mib(16)));
    assert!(old.over_at.is_some());
}

/// A volume in it would look as if it were nowhere, and its deletion as if it were done.
#[test]
fn a_region_that_vanished_with_volumes_is_said_to_be_not_seen() {
    let all = inventory();
    let before = next(&PmemNodeStatus::default(), &listed(all.clone())).unwrap();
    let mut without = all.clone();
    without.regions.clear();
    without.namespaces.clear();
    let mut after = next(&before, &listed(without.clone())).unwrap();
    for _ in 0..2 {
        let [region] = &after.regions[..] else {
            panic!("the other had no volumes: {:?}", after.regions);
        };
        assert_eq!(
            (region.id.0.as_str(), region.state),
            ("emulated-0", RegionState::NotSeen)
        );
        assert!(region.free.is_empty() && region.volumes.is_empty());
        assert!(region.message.contains("is a module missing"), "{}", region.message);
        after = next(&after, &listed(without.clone())).unwrap();
    }
    assert_eq!(next(&after, &listed(all)).unwrap().regions, before.regions);
}

/// The cluster may be restored to before there was the volume: it would be made elsewhere, and its pod would find it empty.
#[test]
fn what_somebody_may_have_data_in_is_reported_while_its_region_is_not_shown() {
    let all = inventory_with(Stage::InUse);
    let shown = listed(all.clone());
    let before = next(&PmemNodeStatus::default(), &shown).unwrap();
    for state in [None, Some(RegionState::NotSeen), Some(RegionState::Disabled)] {
        let mut now = all.clone();
        now.namespaces.clear();
        match state {
            Some(state) => now.regions[0].state = state,
            None => drop(now.regions.remove(0)),
        }
        let away = Away::after(shown.listing.as_ref().unwrap(), &now);
        let after_restart = listed(now.clone());
        let mut last = listed(now);
        last.listing.as_mut().unwrap().away = away;
        for last in [last, after_restart] {
            let status = next(&before, &last).unwrap();
            let region = status.regions.iter().find(|region| region.id.0 == "emulated-0");
            let kept: Vec<&str> = region.unwrap().kept.iter().map(|kept| kept.name.as_str()).collect();
            assert_eq!(kept, ["kept"], "{state:?}");
        }
    }
}

/// Without a mark, the place in the object's status tells a volume of before there were marks.
#[test]
fn an_earlier_volume_is_not_foreign() {
    let mut inventory = inventory();
    let theirs = inventory
        .namespaces
        .iter_mut()
        .find(|found| found.name == "theirs")
        .unwrap();
    theirs.name = "ours".into();
    let place = (theirs.region.clone(), theirs.extent);
    let status = |start: Bytes| PmemVolumeStatus {
        region: Some(place.0.clone()),
        footprint: Some(Extent::new(start, place.1.size)),
        ..PmemVolumeStatus::default()
    };
    for (start, foreign) in [(place.1.start, 0), (Bytes::ZERO, 1)] {
        let spec = serde_json::json!({ "node": "n", "required": 1, "mode": "sector" });
        let mut object = PmemVolume::new("ours", serde_json::from_value(spec).unwrap());
        object.status = Some(status(start));
        let known = KnownVolumes {
            objects: &[Arc::new(object)],
            erasing: &BTreeMap::new(),
            unknown: &UnknownBytes::new(),
        };
        let listing = listed(inventory.clone()).listing.unwrap();
        assert_eq!(known.regions(&[], &listing)[0].foreign.count, foreign);
    }
}

#[test]
fn a_failed_listing_changes_conditions_only() {
    let before = next(&PmemNodeStatus::default(), &listed(inventory())).unwrap();
    for listing in [listed(inventory()).listing, None] {
        let error = Some("cannot list".into());
        let after = next(&before, &LastListing { listing, error }).unwrap();
        assert_eq!(after.regions, before.regions);
        assert_eq!(after.layout_revision, before.layout_revision);
        assert_eq!(condition(&after, "Ready").reason, "ListingFailed");
        assert!(condition(&after, "Ready").message.ends_with("cannot list"));
    }
}

#[test]
fn nothing_is_reported_before_the_first_listing() {
    assert_eq!(next(&PmemNodeStatus::default(), &LastListing::default()), None);
}

#[test]
fn says_what_would_help() {
    let mut inventory = inventory();
    for region in &mut inventory.regions {
        region.state = RegionState::Unprepared;
        region.message = format!("do this to {}", region.device);
    }
    let status = next(&PmemNodeStatus::default(), &listed(inventory)).unwrap();
    for kind in ["Ready", "Prepared"] {
        let condition = condition(&status, kind);
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_str()),
            ("False", "RegionsUnprepared")
        );
        assert_eq!(condition.message, "do this to emulated-0; do this to emulated-1");
    }
    assert_eq!(status.totals.free, Bytes::ZERO);

    let nothing = Inventory {
        nothing: "load its module".into(),
        ..Inventory::default()
    };
    let none = next(&PmemNodeStatus::default(), &listed(nothing)).unwrap();
    let ready = condition(&none, "Ready");
    assert_eq!((&*ready.reason, &*ready.message), ("NoRegions", "load its module"));
}

#[test]
fn the_same_again_is_no_change() {
    let before = next(&PmemNodeStatus::default(), &listed(inventory())).unwrap();
    let later = Timestamp::from_second(2).unwrap();
    let again = next_at(&before, &listed(inventory()), later);
    assert_eq!(again, Some(before));
}
