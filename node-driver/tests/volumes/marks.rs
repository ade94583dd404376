//! The device says what a namespace is and how far it has come, whatever the cluster holds.

use crds::{DELETE_VOLUME, FINALIZER, KEPT, Phase, PmemVolumeStatus, RegionState, UNUSED, VolumeMode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use placement::Extent;

use crate::node::{Node, REGION, Run, TOKEN};
use node_driver::devices::{Stage, mark_name};
use node_driver::volumes::{EarlierVolumes, WorkResult, Worker};
use simulation::devices::DeviceFault;

/// A node with the volume "v", which is in use and full of data.
async fn in_use() -> (Node, Worker<Run>, Extent) {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.set_stage("v", Stage::InUse);
    let extent = node.namespaces("v")[0].extent;
    node.fill("v");
    (node, worker, extent)
}

#[tokio::test]
async fn an_object_that_was_only_deleted_goes_and_the_data_stays() {
    for is_held in [false, true] {
        let (node, worker, extent) = in_use().await;
        let mut volume = node.volume("v");
        volume.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        volume.metadata.finalizers = is_held.then(|| vec![FINALIZER.into()]);
        node.record.put(volume);
        worker.reconcile(node.volume("v")).await.unwrap();
        node.record.remove("v");
        worker.clear("v").await.unwrap();
        assert!(node.is_filled(extent));
        assert_eq!(node.stage("v"), Stage::InUse);

        let anew = node.add_volume("v", 20, VolumeMode::Fsdax);
        worker.reconcile(anew).await.unwrap();
        assert_eq!(node.status("v").phase, Some(Phase::Ready));
        assert_eq!(node.status("v").footprint, Some(extent));
        assert!(node.is_filled(extent));
    }
}

/// etcd was restored from a snapshot that was taken while the volume was made, or before it was.
#[tokio::test]
async fn a_cluster_of_yesterday_does_not_scrub_a_filled_volume() {
    let provisioning = |node: &Node| PmemVolumeStatus {
        phase: Some(Phase::Provisioning),
        region: node.status("v").region,
        ..PmemVolumeStatus::default()
    };
    for phase_was_written in [false, true] {
        let (node, _, extent) = in_use().await;
        let mut volume = node.volume("v");
        volume.status = phase_was_written.then(|| provisioning(&node));
        node.record.put(volume);
        let worker = node.driver();
        worker.reconcile(node.volume("v")).await.unwrap();
        assert!(node.is_filled(extent));
        assert_eq!(node.status("v").phase, Some(Phase::Ready));
        assert_eq!(node.namespaces("v").len(), 1);
    }
}

#[tokio::test]
async fn what_was_never_handed_out_goes_with_its_object_and_what_was_stays() {
    let node = Node::new();
    // Killed when the namespace is there.
    let _killed = node
        .driver_killed_after(2)
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await;
    assert_eq!(node.stage("v"), Stage::Making);
    node.driver().clear("v").await.unwrap();
    assert_eq!(node.namespaces("v").len(), 1, "its object wants it");
    node.record.remove("v");
    node.driver().clear("v").await.unwrap();
    assert!(node.namespaces("v").is_empty());

    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.record.remove("v");
    worker.clear("v").await.unwrap();
    assert_eq!(node.stage("v"), Stage::HandedOut);
}

#[tokio::test]
async fn an_object_that_was_made_anew_with_another_size_gets_another_namespace() {
    let node = Node::new();
    let _killed = node
        .driver_killed_after(2)
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await;
    let small = node.namespaces("v")[0].extent;
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 40, VolumeMode::Fsdax))
        .await
        .unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert!(node.namespaces("v")[0].extent.size > small.size);
}

#[tokio::test]
async fn a_volume_is_not_ready_before_its_label_is_on_the_device() {
    let node = Node::new();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let worker = node.driver();
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert!(worker.reconcile(volume).await.is_err());
    assert_eq!(node.reason("v"), "NotRecorded");
    assert_ne!(node.status("v").phase, Some(Phase::Ready));

    node.machine.set_fault(DeviceFault::LabelsLost, false);
    worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert!(node.namespaces("v")[0].is_recorded);
}

#[tokio::test]
async fn erasing_needs_no_object_and_a_new_volume_of_the_id_waits_for_it() {
    let (node, worker, extent) = in_use().await;
    node.delete("v");
    worker.reconcile(node.volume("v")).await.unwrap();
    assert!(node.record.get("v").is_none());

    let worker = node.driver();
    let anew = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(anew).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "StillErasing");
    worker.clear("v").await.unwrap();
    assert!(node.is_zero(extent));
    worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
}

/// A cluster of yesterday shows no PersistentVolume, so CreateVolume for another node deletes the volume as unused.
#[tokio::test]
async fn a_volume_that_is_deleted_as_unused_is_erased_only_if_it_is() {
    for stage in [Stage::HandedOut, Stage::InUse] {
        let (node, worker, extent) = in_use().await;
        node.set_stage("v", stage);
        delete_as_unused(&node);
        worker.reconcile(node.volume("v")).await.unwrap();
        worker.clear("v").await.unwrap();
        assert!(node.record.get("v").is_none());
        assert_eq!(node.is_filled(extent), stage == Stage::InUse);
        assert_eq!(node.namespaces("v").is_empty(), stage == Stage::HandedOut);
    }
    let (node, extent) = earlier().await;
    delete_as_unused(&node);
    node.driver().reconcile(node.volume("v")).await.unwrap();
    assert!(
        node.record.get("v").is_none() && node.is_filled(extent),
        "nobody can tell"
    );
}

fn delete_as_unused(node: &Node) {
    node.delete("v");
    let mut volume = node.volume("v");
    volume.metadata.annotations = Some([(DELETE_VOLUME.into(), UNUSED.into())].into());
    node.record.put(volume);
}

/// A node as an earlier version of the driver left it: the volume "v" has its object and no mark.
async fn earlier() -> (Node, Extent) {
    let (node, _, extent) = in_use().await;
    node.destroy_all();
    node.machine.put_earlier("v", REGION, extent, TOKEN);
    (node, extent)
}

#[tokio::test]
async fn a_volume_of_before_there_were_marks_is_marked_and_keeps_its_data() {
    let (node, extent) = earlier().await;
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.stage("v"), Stage::InUse);
    assert!(node.is_filled(extent));

    node.delete("v");
    worker.reconcile(node.volume("v")).await.unwrap();
    worker.clear("v").await.unwrap();
    assert!(node.is_zero(extent) && node.all().is_empty());
}

#[tokio::test]
async fn one_that_is_mounted_is_vouched_for_and_marked_later() {
    let (node, extent) = earlier().await;
    node.bind("v");
    let known = EarlierVolumes::default();
    let worker = node.driver().with_earlier(known.clone());
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Blocked);
    assert_eq!(node.reason("v"), "", "it is usable as it was");
    assert!(known.contains("v"));

    node.unbind();
    worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.stage("v"), Stage::InUse);
    assert!(!known.contains("v") && node.is_filled(extent));
}

#[tokio::test]
async fn one_that_was_deleted_before_it_was_marked_is_erased() {
    let (node, extent) = earlier().await;
    node.delete("v");
    let worker = node.driver();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
    worker.clear("v").await.unwrap();
    assert!(node.is_zero(extent) && node.all().is_empty());
}

/// Its object was made anew because the node showed it a moment ago.
#[tokio::test]
async fn a_kept_volume_whose_region_is_away_gets_no_second_namespace() {
    let (node, _, _) = in_use().await;
    let mut anew = node.add_volume("v", 20, VolumeMode::Fsdax);
    anew.metadata.annotations = Some([(KEPT.into(), "true".into())].into());
    node.record.put(anew);
    for (state, reason) in [
        (RegionState::NotSeen, "RegionAway"),
        (RegionState::Disabled, "RegionAway"),
        (RegionState::Ready, "NamespaceGone"),
    ] {
        node.machine.set_region_state(REGION, state, false);
        let result = node.driver().reconcile(node.volume("v")).await.unwrap();
        assert_eq!((result, &*node.reason("v")), (WorkResult::Blocked, reason));
        assert_eq!(node.all().len(), 1);
    }
    node.machine.set_region_state(REGION, RegionState::Ready, true);
    node.driver().reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    node.is_fine();
}

/// Somebody wrote another phase into the object, and DeleteVolume is called while the region is away.
#[tokio::test]
async fn what_is_deleted_is_not_let_go_before_its_region_is_seen_whatever_the_phase_says() {
    let phases = [Phase::Refused, Phase::Provisioning, Phase::Ready, Phase::Erasing];
    for (phase, is_kept) in phases.into_iter().flat_map(|phase| [(phase, false), (phase, true)]) {
        let (node, _, extent) = in_use().await;
        let mut volume = node.volume("v");
        let status = volume.status.as_mut().unwrap();
        status.phase = Some(phase);
        if is_kept {
            // Made anew in order to be deleted, so nothing says where the namespace is.
            status.region = None;
            volume = volume.kept(None, false);
        }
        node.record.put(volume);
        node.delete("v");
        node.machine.set_region_state(REGION, RegionState::NotSeen, false);
        let worker = node.driver();
        assert_eq!(
            worker.reconcile(node.volume("v")).await.unwrap(),
            WorkResult::Blocked,
            "{phase:?}"
        );

        node.machine.set_region_state(REGION, RegionState::Ready, true);
        assert_eq!(
            worker.reconcile(node.volume("v")).await.unwrap(),
            WorkResult::Released,
            "{phase:?}"
        );
        worker.clear("v").await.unwrap();
        assert!(node.is_zero(extent) && node.all().is_empty());
    }
}

/// Its object was deleted by hand while the region was away, and made anew: so there are two namespaces when the region is back.
#[tokio::test]
async fn of_two_namespaces_of_a_volume_the_one_that_nobody_used_goes() {
    for (earlier, later) in [
        (Stage::InUse, Stage::Making),
        (Stage::InUse, Stage::HandedOut),
        (Stage::HandedOut, Stage::Making),
    ] {
        let node = Node::with_regions(&[REGION, "r1"]);
        let add = || node.add_volume("v", 20, VolumeMode::Fsdax);
        node.driver().reconcile(add()).await.unwrap();
        node.set_stage("v", earlier);
        let first = node.namespaces("v").remove(0);
        node.machine
            .set_region_state(&first.region.0, RegionState::NotSeen, false);
        node.driver().reconcile(add()).await.unwrap();
        let both = node.namespaces("v");
        let second = both.iter().find(|found| found.region != first.region).unwrap();
        let name = mark_name("v", second.uuid.unwrap(), later).unwrap();
        node.machine.rename_by_hand(&second.device, &name);
        node.machine.set_region_state(&first.region.0, RegionState::Ready, true);

        let worker = node.driver();
        worker.reconcile(node.volume("v")).await.unwrap();
        worker.clear("v").await.unwrap();
        assert_eq!(node.stage("v"), earlier, "beside one {later:?}");
        assert_eq!(node.namespaces("v")[0].region, first.region);
        node.is_fine();
    }
}
