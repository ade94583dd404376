use std::sync::Arc;

use placement::{Bytes, RegionId};

use super::*;
use crate::devices::{Attach, Devices, Emulated, Inventory, NewNamespace};
use crate::layout::Listing;

fn inventory() -> Inventory {
    let directory = tempfile::tempdir().unwrap();
    let regions = ["64Mi@0".parse().unwrap(), "128Mi@1".parse().unwrap()];
    let devices = Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap();
    let region = RegionId("emulated-0".into());
    for name in ["ours", "theirs"] {
        let new = NewNamespace {
            name: name.into(),
            region: region.clone(),
            footprint: Bytes::mib(16),
        };
        devices.create(&new).unwrap();
    }
    devices.inventory().unwrap()
}

fn listed(inventory: Inventory) -> LastListing {
    let listing = Listing {
        inventory: Arc::new(inventory),
        revision: 3,
    };
    LastListing {
        listing: Some(listing),
        error: None,
    }
}

fn next(before: &PmemNodeStatus, last: &LastListing) -> Option<PmemNodeStatus> {
    let now = Timestamp::from_second(1).unwrap();
    next_status(before, last, "emulated", |name| name == "ours", now)
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
    assert_eq!(status.totals.free, Bytes::mib(160));
    assert_eq!(status.totals.largest, Bytes::mib(128));
    assert_eq!(status.regions[0].foreign.count, 1);
    assert_eq!(status.regions[0].foreign.bytes, Bytes::mib(16));
    assert_eq!(condition(&status, "Ready").message, "2 of 2 regions ready");
    assert_eq!(condition(&status, "Prepared").status, "True");
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

    let none = next(&PmemNodeStatus::default(), &listed(Inventory::default())).unwrap();
    assert_eq!(condition(&none, "Ready").reason, "NoRegions");
}

#[test]
fn the_same_again_is_no_change() {
    let before = next(&PmemNodeStatus::default(), &listed(inventory())).unwrap();
    let later = Timestamp::from_second(2).unwrap();
    let again = next_status(&before, &listed(inventory()), "emulated", |name| name == "ours", later);
    assert_eq!(again, Some(before));
}
