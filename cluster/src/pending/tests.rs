use crds::PmemVolumeStatus;
use placement::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn volume(phase: Option<Phase>, layout_revision: Option<i64>) -> PmemVolume {
    let spec = json!({ "node": "n", "required": 1, "mode": "fsdax" });
    let mut volume = PmemVolume::new("v", serde_json::from_value(spec).unwrap());
    volume.status = Some(PmemVolumeStatus {
        phase,
        layout_revision,
        ..PmemVolumeStatus::default()
    });
    volume
}

fn deleted(phase: Option<Phase>) -> PmemVolume {
    let mut volume = volume(phase, None);
    volume.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-02T00:00:00Z")).unwrap();
    volume
}

fn in_region(region: &str) -> PmemVolume {
    let mut volume = volume(Some(Phase::Provisioning), None);
    if let Some(status) = &mut volume.status {
        status.region = serde_json::from_value(json!(region)).unwrap();
    }
    volume
}

/// Revision 7, with these volumes in region "r", and a disabled region "off".
fn reported(volumes: &[&str]) -> PmemNodeStatus {
    let region = |id: &str, state: &str, volumes: &[&str]| {
        json!({
            "id": id, "device": "region0", "bus": "emulated", "size": 64 << 20, "alignment": 2 << 20, "ways": 1,
            "persistenceDomain": "unknown", "state": state, "volumes": volumes,
            "free": [{ "start": 0, "size": 64 << 20 }],
        })
    };
    let regions = [region("r", "Ready", volumes), region("off", "Disabled", &[])];
    serde_json::from_value(json!({ "layoutRevision": 7, "regions": regions })).unwrap()
}

fn is_pending(volume: &PmemVolume, volumes: &[&str]) -> bool {
    VolumeSpace::from(volume).is_pending(&reported(volumes))
}

fn is_pending_now(volume: &PmemVolume, volumes: &[&str]) -> bool {
    VolumeSpace::from(volume).is_pending(ShownRegions::listed_now(&reported(volumes).regions))
}

#[test]
fn until_its_revision_is_reported() {
    assert!(is_pending(&volume(None, None), &[]));
    assert!(is_pending(&volume(Some(Phase::Ready), Some(8)), &[]));
    assert!(!is_pending(&volume(Some(Phase::Ready), Some(7)), &[]));
    assert!(!is_pending(&volume(Some(Phase::Refused), None), &[]));
}

#[test]
fn until_the_node_reports_its_namespace() {
    assert!(is_pending(&volume(Some(Phase::Provisioning), None), &["w"]));
    assert!(!is_pending(&volume(Some(Phase::Provisioning), None), &["w", "v"]));
}

/// What is erased under the name of a volume that is to be made is an earlier one: it gives its bytes back, and the new one
/// takes bytes of its own.
#[test]
fn a_volume_takes_space_beside_an_earlier_one_of_its_name_that_is_being_erased() {
    let mut erasing = reported(&[]);
    let progress = json!({ "name": "v", "done": 1 << 20, "total": 16 << 20 });
    erasing.regions[0].erasing = vec![serde_json::from_value(progress).unwrap()];
    let is_pending = |volume: &PmemVolume| VolumeSpace::from(volume).is_pending(&erasing);
    assert!(is_pending(&volume(None, None)));
    assert!(is_pending(&volume(Some(Phase::Provisioning), None)));
    for phase in [Phase::Provisioning, Phase::Ready, Phase::Erasing] {
        assert!(!is_pending(&deleted(Some(phase))), "the one that is erased");
    }
}

/// A volume before it was made and erased since the report: only the place of the other one tells.
#[test]
fn a_volume_is_where_it_says_not_where_it_would_be_made_now() {
    let report = reported(&[]);
    let mut late = volume(Some(Phase::Ready), Some(9));
    let footprint = Extent::new(Bytes::mib(32), Bytes::mib(16));
    late.status.as_mut().unwrap().region = Some(report.regions[0].id.clone());
    let first = free_space(&report, [&late]).regions.remove(0).free;
    late.status.as_mut().unwrap().footprint = Some(footprint);
    let free = free_space(&report, [&late]).regions.remove(0).free;
    assert!(first[0].start > Bytes::ZERO, "it would be made at the start: {first:?}");
    assert!(
        free[0].start == Bytes::ZERO && free.iter().all(|free| !free.overlaps(footprint)),
        "{free:?}"
    );
}

/// Its object is made anew long after its namespace: it takes nothing more.
#[test]
fn a_kept_volume_takes_no_further_space() {
    let mut kept = reported(&["v"]);
    let volume_kept = json!({ "name": "v", "footprint": { "start": 0, "size": 16 << 20 } });
    kept.regions[0].kept = vec![serde_json::from_value(volume_kept).unwrap()];
    let remade = VolumeSpace::from(&volume(None, None).kept(None, false));
    assert!(!remade.is_pending(&kept));
    assert!(!remade.is_pending(ShownRegions::listed_now(&kept.regions)));
    assert!(
        !remade.is_pending(&reported(&[])),
        "its namespace is gone, and it gets no other"
    );
    for phase in [Phase::Provisioning, Phase::Ready] {
        let said = VolumeSpace::from(&volume(Some(phase), None).kept(None, false));
        assert!(!said.is_pending(&reported(&[])), "somebody wrote that it is {phase:?}");
    }
}

/// Somebody wrote the phase over.
#[test]
fn a_volume_that_was_ready_takes_no_space_when_its_namespace_is_gone() {
    let mut gone = in_region("r");
    gone.status.as_mut().unwrap().footprint = Some(Extent::new(Bytes::ZERO, Bytes::mib(16)));
    assert!(!is_pending_now(&gone, &[]));
}

/// A volume that was deleted gets no namespace any more; but it may have got one after the node's last report.
#[test]
fn a_deleted_volume_counts_if_it_may_have_a_namespace() {
    assert!(!is_pending(&deleted(None), &[]));
    assert!(!is_pending_now(&deleted(None), &[]));
    for phase in [Phase::Provisioning, Phase::Erasing] {
        assert!(is_pending(&deleted(Some(phase)), &[]));
        assert!(!is_pending_now(&deleted(Some(phase)), &[]));
    }
}

/// What the devices show just now is all that there is.
#[test]
fn among_listed_devices_a_volume_counts_if_it_is_still_to_be_made() {
    assert!(is_pending_now(&volume(None, None), &["w"]));
    assert!(is_pending_now(&volume(Some(Phase::Provisioning), None), &[]));
    assert!(!is_pending_now(&volume(Some(Phase::Provisioning), None), &["v"]));
    for phase in [Phase::Ready, Phase::Refused, Phase::Erasing] {
        assert!(!is_pending_now(&volume(Some(phase), None), &[]));
    }
}

/// Its node waits until it can see whether there is a namespace, and makes none in another region meanwhile.
#[test]
fn a_volume_takes_nothing_elsewhere_while_its_region_is_away() {
    assert!(is_pending(&in_region("r"), &[]));
    for region in ["off", "gone"] {
        assert!(!is_pending(&in_region(region), &[]));
        assert!(!is_pending_now(&in_region(region), &[]));
    }
}

#[test]
fn free_space_is_without_pending_volumes() {
    let free = |volumes: &[PmemVolume]| {
        free_space(&reported(&[]), volumes).regions[0]
            .largest_usable(crds::VolumeMode::Sector.with_map(placement::MapLocation::Dev))
    };
    let all = free(&[]);
    assert!(all > Bytes::mib(60));
    assert!(free(&[volume(None, None)]) < all.minus(Bytes::mib(15)));
    assert_eq!(free(&[deleted(None)]), all);
}

/// A node with 256 MiB in each of two regions on which volumes were made, one after the other.
struct MadeInOrder {
    /// After each of them, from none to all.
    reports: Vec<PmemNodeStatus>,
    volumes: Vec<PmemVolume>,
}

impl MadeInOrder {
    fn of(sizes: &[u32]) -> Self {
        let region = |id: &str| {
            json!({
                "id": id, "device": id, "bus": "emulated", "size": 256 << 20, "alignment": 2 << 20, "ways": 1,
                "persistenceDomain": "unknown", "state": "Ready", "free": [{ "start": 0, "size": 256 << 20 }],
            })
        };
        let empty = json!({ "layoutRevision": 0, "regions": [region("r"), region("s")] });
        let mut made = Self {
            reports: vec![serde_json::from_value(empty).unwrap()],
            volumes: Vec::new(),
        };
        for (mib, second) in sizes.iter().zip(0..) {
            made.add(*mib, second);
        }
        made
    }

    /// One more; what does not fit is refused.
    fn add(&mut self, mib: u32, second: i64) {
        let spec = json!({ "node": "n", "required": Bytes::mib(mib), "mode": "fsdax" });
        let mut volume = PmemVolume::new(&format!("v{second}"), serde_json::from_value(spec).unwrap());
        let created = format!("2026-01-01T00:00:{second:02}Z");
        volume.metadata.creation_timestamp = serde_json::from_value(json!(created)).unwrap();
        let mut report = self.reports[self.reports.len() - 1].clone();
        let mut free = report.to_placement();
        let placed = free.place(&volume.spec.request()).ok();
        report.layout_revision += 1;
        volume.status = Some(PmemVolumeStatus {
            phase: Some(if placed.is_some() { Phase::Ready } else { Phase::Refused }),
            region: placed.as_ref().map(|placed| placed.region.clone()),
            footprint: placed.as_ref().map(|placed| placed.extent),
            layout_revision: placed.as_ref().map(|_| report.layout_revision),
            ..PmemVolumeStatus::default()
        });
        for (shown, region) in report.regions.iter_mut().zip(free.regions) {
            shown.free = region.free;
            if placed.as_ref().is_some_and(|placed| placed.region == shown.id) {
                shown.volumes.push(format!("v{second}"));
            }
        }
        self.reports.push(report);
        self.volumes.push(volume);
    }

    /// The volumes when so many of them are ready, one more is being made, and the node has not seen the others.
    fn volumes_when(&self, ready: usize) -> Vec<PmemVolume> {
        let mut volumes = self.volumes.clone();
        for (position, volume) in volumes.iter_mut().enumerate().skip(ready) {
            let region = volume.status.as_ref().and_then(|status| status.region.clone());
            volume.status = (position == ready && region.is_some()).then(|| PmemVolumeStatus {
                phase: Some(Phase::Provisioning),
                region,
                ..PmemVolumeStatus::default()
            });
        }
        volumes
    }
}

proptest! {
    /// Also those whose place is known, which come before all others.
    #[test]
    fn each_finds_what_those_before_it_leave(sizes in prop::collection::vec(1_u32..120, 1..8), placed in prop::collection::vec(any::<bool>(), 8)) {
        let mut made = MadeInOrder::of(&sizes);
        for (volume, is_placed) in made.volumes.iter_mut().zip(placed) {
            let status = volume.status.as_mut().filter(|status| status.phase == Some(Phase::Ready));
            match status {
                Some(status) if is_placed => status.phase = Some(Phase::Provisioning),
                _ => volume.status = None,
            }
        }
        let regions = &made.reports[0].regions;
        let mut in_order = SpaceInOrder::new(ShownRegions::listed_now(regions));
        for (before, volume) in made.volumes.iter().enumerate() {
            let expected = free_space(ShownRegions::listed_now(regions), &made.volumes[..before]);
            prop_assert_eq!(in_order.free(), &expected);
            in_order.take(VolumeSpace::from(volume));
        }
    }

    /// Whoever sees a report of any age and the volumes at any moment sees what will be free in the end: no byte is
    /// counted twice, none is forgotten.
    #[test]
    fn reports_and_volumes_may_be_of_different_age(sizes in prop::collection::vec(1_u32..120, 1..8), report in 0_usize..9, ready in 0_usize..8) {
        let made = MadeInOrder::of(&sizes);
        let report = &made.reports[report % made.reports.len()];
        let in_the_end = made.reports[made.reports.len() - 1].to_placement();
        let seen = free_space(report, &made.volumes_when(ready % (sizes.len() + 1)));
        prop_assert_eq!(seen, in_the_end);
    }
}
