//! Namespaces that the driver must not touch, or must not take for its own.

use crds::{Phase, PmemVolumeStatus, RegionState, VolumeMode};
use placement::{Bytes, Extent};
use rstest::rstest;

use crate::node::{Node, REGION};
use node_driver::devices::{NamespaceMode, Stage};
use node_driver::volumes::WorkResult;

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

#[tokio::test]
async fn a_strangers_namespace_of_the_name_is_left_alone() {
    for mode in [
        NamespaceMode::Raw,
        NamespaceMode::Fsdax,
        NamespaceMode::Sector,
        NamespaceMode::Devdax,
    ] {
        let node = Node::new();
        node.machine.put_foreign("v", REGION, mib(0, 32), mode);
        let worker = node.driver();
        worker
            .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
            .await
            .unwrap();
        assert_eq!(node.status("v").footprint, Some(mib(32, 30)));
        node.is_fine();

        node.delete("v");
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
        worker.clear("v").await.unwrap();
        assert_eq!((node.namespaces("v").len(), node.foreign("v")), (0, 1), "{mode:?}");
        node.is_fine();
    }
}

/// Without a mark, only the place that the object records can tell it from a stranger's.
#[tokio::test]
async fn a_strangers_namespace_is_not_taken_for_a_volume_that_is_gone() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.destroy_all();
    node.machine.put_foreign("v", REGION, mib(32, 30), NamespaceMode::Fsdax);
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "NamespaceGone");
    node.delete("v");
    worker.reconcile(node.volume("v")).await.unwrap();
    worker.clear("v").await.unwrap();
    assert_eq!(node.foreign("v"), 1);
    node.is_fine();
}

#[tokio::test]
async fn a_mark_of_a_newer_version_is_left_alone() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    let found = node.namespaces("v").remove(0);
    node.machine.rename_by_hand(&found.device, "v.p2");
    node.fill("v");
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "NewerMark");
    node.delete("v");
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    worker.clear("v").await.unwrap();
    assert!(node.is_filled(found.extent));
    node.is_fine();
}

#[tokio::test]
async fn a_volume_that_vanished_is_never_made_anew() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.destroy_all();
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "NamespaceGone");
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert!(node.namespaces("v").is_empty());

    // Whatever somebody writes into its status, with or without space for another (found by the simulation).
    for (phase, is_kept) in [Phase::Provisioning, Phase::Refused]
        .map(|phase| [(phase, false), (phase, true)])
        .as_flattened()
    {
        let mut volume = node.volume("v");
        if *is_kept {
            volume.status = Some(PmemVolumeStatus::default());
            volume = volume.kept(None, false);
        }
        volume.status.as_mut().unwrap().phase = Some(*phase);
        node.record.put(volume);
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
        assert_eq!((node.status("v").phase, node.all().len()), (Some(Phase::Ready), 0));
    }

    node.delete("v");
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
}

#[tokio::test]
async fn a_used_volume_that_is_disabled_keeps_its_data() {
    let node = Node::new();
    node.driver()
        .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    let found = node.namespaces("v").remove(0);
    node.fill("v");
    let worker = node.driver();
    node.machine.disable_by_hand(&found.device);
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "NamespaceDisabled");
    assert!(node.is_filled(found.extent));
}

/// `None`: the kernel does not show the region at all.
#[rstest]
#[case(Some(RegionState::Disabled))]
#[case(Some(RegionState::Unprepared))]
#[case(Some(RegionState::NotSeen))]
#[case(None)]
#[tokio::test]
async fn a_region_that_is_not_seen_frees_nothing_and_gets_no_second_namespace(#[case] state: Option<RegionState>) {
    let node = Node::new();
    node.driver()
        .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    match state {
        Some(state) => node.machine.set_region_state(REGION, state, false),
        None => node.machine.hide_region(REGION, true),
    }
    let worker = node.driver();
    for deleted in [false, true] {
        if deleted {
            node.delete("v");
        }
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
        assert_eq!(node.reason("v"), "RegionAway");
        assert_eq!(node.all().len(), 1);
    }
    node.machine.set_region_state(REGION, RegionState::Ready, true);
    node.machine.hide_region(REGION, false);
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
    assert_eq!(node.stage("v"), Stage::Erasing);
}

#[tokio::test]
async fn nothing_is_written_to_a_region_that_is_not_ready() {
    for state in [
        RegionState::Unprepared,
        RegionState::ReadOnly,
        RegionState::Misaligned,
        RegionState::NotSeen,
    ] {
        let node = Node::new();
        node.driver()
            .reconcile(node.add_volume("v", 28, VolumeMode::Fsdax))
            .await
            .unwrap();
        let extent = node.namespaces("v")[0].extent;
        node.fill("v");
        node.machine.set_region_state(REGION, state, true);
        node.delete("v");
        let worker = node.driver();
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
        assert_eq!(node.reason("v"), "RegionNotReady");
        assert!(node.is_filled(extent));
        worker
            .reconcile(node.add_volume("w", 4, VolumeMode::Fsdax))
            .await
            .unwrap();
        assert_eq!(node.status("w").phase, Some(Phase::Refused));
    }
}
