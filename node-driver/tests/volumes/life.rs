//! A volume's life when nothing goes wrong.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent, RegionId};
use rstest::rstest;

use crate::node::{NODE_NAME, Node, REGION};
use node_driver::devices::{NewNamespace, Stage};
use node_driver::volumes::WorkResult;
use simulation::devices::{DeviceFault, Fuse, Holds};

#[rstest]
#[case(VolumeMode::Fsdax, 28, 30)]
#[case(VolumeMode::Fsdax, 1, 16)]
#[case(VolumeMode::Sector, 16, 18)]
#[tokio::test]
async fn is_made_zeroed_and_erased(#[case] mode: VolumeMode, #[case] required: u32, #[case] footprint: u32) {
    let node = Node::new();
    let worker = node.driver();
    let result = worker.reconcile(node.add_volume("v", required, mode)).await.unwrap();
    assert_eq!(result, WorkResult::Settled);

    let extent = Extent::new(Bytes::ZERO, Bytes::mib(footprint));
    let status = node.status("v");
    assert_eq!(status.phase, Some(Phase::Ready));
    assert_eq!(status.region, Some(RegionId("r0".into())));
    assert_eq!(status.footprint, Some(extent));
    assert!(status.usable.unwrap() >= Bytes::mib(required));
    assert!(status.layout_revision.is_some());
    assert_eq!(status.conditions[0].status, "True");
    assert_eq!(
        node.all()[0].holds,
        Holds::Blank,
        "an earlier tenant's bytes can be read"
    );

    node.fill("v");
    node.delete("v");
    let result = worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(result, WorkResult::Released);
    assert!(node.record.get("v").is_none());
    assert_eq!(node.stage("v"), Stage::Erasing);
    worker.clear("v").await.unwrap();
    assert!(node.namespaces("v").is_empty());
    assert!(node.is_zero(extent));
    node.is_fine();
}

/// An erasure that fails within its first second has no progress of its own to show.
#[tokio::test]
async fn an_erasure_that_failed_says_how_far_it_came_and_where_to_look() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.delete("v");
    worker.reconcile(node.volume("v")).await.unwrap();
    node.machine.set_fault(DeviceFault::FlushFails, true);
    worker.clear("v").await.unwrap_err();
    let shown = worker.erasures().subscribe().borrow()["v"].clone();
    // So much is flushed at once.
    assert_eq!(shown.progress.done, Bytes::mib(16));
    assert!(shown.message.contains("ndctl list --dimms --health"), "{shown:?}");
}

/// A driver that starts may be shown an object that was being made and is gone by now, or one that another of its name has
/// replaced.
#[tokio::test]
async fn nothing_is_made_for_an_object_of_the_past() {
    let node = Node::new();
    let before = node.add_volume("v", 20, VolumeMode::Fsdax);
    let killed = node.driver_killed_after(1).reconcile(before).await;
    assert!(killed.is_err());
    let past = node.volume("v");
    assert_eq!(past.status.as_ref().unwrap().phase, Some(Phase::Provisioning));
    node.record.remove("v");
    assert!(node.driver().reconcile(past.clone()).await.is_err());
    assert!(node.namespaces("v").is_empty(), "a namespace for nobody");

    let mut other = node.add_volume("v", 30, VolumeMode::Fsdax);
    other.metadata.uid = Some("another".into());
    node.record.put(other);
    assert!(node.driver().reconcile(past).await.is_err());
    assert!(node.namespaces("v").is_empty(), "a namespace of the size of before");
}

/// Effects: the region is recorded, the namespace is made.
#[tokio::test]
async fn a_namespace_is_handed_out_only_while_its_object_is_there() {
    let node = Node::new();
    let before = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert!(node.driver_killed_after(2).reconcile(before).await.is_err());
    let past = node.volume("v");
    assert_eq!(node.stage("v"), Stage::Making);
    node.record.remove("v");
    let worker = node.driver();
    assert!(worker.reconcile(past).await.is_err());
    assert_eq!(node.stage("v"), Stage::Making, "handed out to nobody");
    worker.clear("v").await.unwrap();
    assert!(node.namespaces("v").is_empty());
}

#[tokio::test]
async fn a_ready_volume_stays_as_it_is() {
    let node = Node::new();
    node.driver()
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    let before = node.volume("v");
    let worker = node.driver();
    for _ in 0..2 {
        assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Settled);
        assert_eq!(node.volume("v"), before);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_numbers_and_for_good() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("big", 100, VolumeMode::Fsdax))
        .await
        .unwrap();
    let status = node.status("big");
    assert_eq!(status.phase, Some(Phase::Refused));
    let condition = &status.conditions[0];
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "NoSpace")
    );
    assert!(
        condition
            .message
            .contains("asked 100 MiB; largest extent 62 MiB on NUMA 0"),
        "{}",
        condition.message
    );
    assert!(node.namespaces("big").is_empty());

    worker.reconcile(node.volume("big")).await.unwrap();
    assert_eq!(node.status("big"), status);
    node.delete("big");
    assert_eq!(
        worker.reconcile(node.volume("big")).await.unwrap(),
        WorkResult::Released
    );
}

#[tokio::test]
async fn a_living_object_is_not_held() {
    let node = Node::new();
    let worker = node.driver();
    let mut volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    volume.metadata.finalizers = Some(vec![crds::FINALIZER.into()]);
    node.record.put(volume.clone());
    worker.reconcile(volume).await.unwrap();
    assert_eq!(node.volume("v").metadata.finalizers, None);
    worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
}

#[tokio::test]
async fn what_is_mounted_is_not_erased() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    let extent = node.namespaces("v")[0].extent;
    node.set_stage("v", Stage::InUse);
    node.fill("v");
    node.bind("v");
    node.delete("v");
    assert!(worker.reconcile(node.volume("v")).await.is_err());
    assert_eq!(node.reason("v"), "InUse");
    assert!(node.is_filled(extent));

    node.unbind();
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
    worker.clear("v").await.unwrap();
    assert!(node.is_zero(extent));
    node.is_fine();
}

#[tokio::test]
async fn earlier_volumes_come_first() {
    let node = Node::new();
    let worker = node.driver();
    node.add_volume("a", 40, VolumeMode::Fsdax);
    let later = node.add_volume("b", 40, VolumeMode::Fsdax);
    assert_eq!(later.spec.node, NODE_NAME);
    assert_eq!(worker.reconcile(later.clone()).await.unwrap(), WorkResult::Behind);
    worker.reconcile(node.volume("a")).await.unwrap();
    assert_eq!(node.status("a").phase, Some(Phase::Ready));
    worker.reconcile(later).await.unwrap();
    assert_eq!(node.status("b").phase, Some(Phase::Refused));
}

/// Its object was deleted by hand before there was a PersistentVolume, and the node's report was gone: CreateVolume made it
/// anew on another node.
#[tokio::test]
async fn what_another_node_has_is_erased_here_if_nobody_used_it() {
    for (stage, stays) in [(Stage::HandedOut, false), (Stage::InUse, true)] {
        let node = Node::new();
        let worker = node.driver();
        let mut volume = node.add_volume("v", 20, VolumeMode::Fsdax);
        worker.reconcile(volume.clone()).await.unwrap();
        node.set_stage("v", stage);
        node.record.remove("v");
        worker.clear("v").await.unwrap();
        assert_eq!(node.stage("v"), stage, "nobody has it elsewhere");
        volume.spec.node = "node-2".into();
        node.record.put(volume);
        worker.clear("v").await.unwrap();
        assert_eq!(!node.namespaces("v").is_empty(), stays, "{stage}");
        node.is_fine();
    }
}

/// Its region was away while its object was made anew, and another namespace with it.
#[tokio::test]
async fn a_namespace_that_was_being_made_is_no_rival_of_the_one_in_use() {
    let node = Node::new();
    let worker = node.driver();
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    worker.reconcile(volume).await.unwrap();
    node.set_stage("v", Stage::InUse);
    let second = NewNamespace {
        volume: "v".into(),
        region: RegionId(REGION.into()),
        footprint: Bytes::mib(16),
    };
    node.machine.devices(&Fuse::new()).create(&second).unwrap();
    assert_eq!(node.namespaces("v").len(), 2);
    let result = worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(result, WorkResult::Settled);
    worker.clear("v").await.unwrap();
    assert_eq!(node.stage("v"), Stage::InUse, "the other one is in the way");

    node.delete("v");
    let result = worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(result, WorkResult::Released);
    worker.clear("v").await.unwrap();
    assert!(node.namespaces("v").is_empty());
    let by_this_test = ["a second namespace of volume v is made"];
    assert_eq!(node.machine.violations(), by_this_test);
}
