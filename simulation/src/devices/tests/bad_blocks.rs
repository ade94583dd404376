//! Bytes that went bad.

use crds::VolumeMode;
use node_driver::devices::Stage;
use placement::{Bytes, Extent};

use super::node::{Node, REGION, as_filesystem, staging};
use crate::devices::Fuse;

const PAGE: Extent = Extent::new(Bytes::mib(5), Bytes::kib(4));

#[tokio::test]
async fn those_that_the_kernel_lists_are_covered_before_a_namespace_is_made() {
    let node = Node::new();
    node.machine.poison(REGION, PAGE);
    node.make("v", 20, VolumeMode::Fsdax).await;
    let (found, _) = node.only("v");
    assert_eq!(found.namespace.extent.start, Bytes::mib(6));
    let truth = node.machine.truth();
    let quarantined = truth.of_volume("bad_r0_400000").collect::<Vec<_>>();
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].1, Stage::Quarantined);
    assert_eq!(
        quarantined[0].0.namespace.extent,
        Extent::new(Bytes::mib(4), Bytes::mib(2))
    );
    node.is_fine();
}

#[tokio::test]
async fn those_that_it_does_not_know_fail_when_they_are_touched() {
    let node = Node::new();
    node.machine.poison_unknown(REGION, PAGE);
    node.make("v", 20, VolumeMode::Fsdax).await;
    let truth = node.machine.truth();
    let stages: Vec<Stage> = truth.of_volume("v").map(|(_, stage)| stage).collect();
    assert_eq!(stages, [Stage::Quarantined, Stage::HandedOut]);
    node.is_fine();
}

#[tokio::test]
async fn what_goes_bad_under_a_pod_is_an_error_and_counted() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let fuse = Fuse::new();
    node.kubelet(&fuse, as_filesystem()).stage("v").await.unwrap();
    node.machine.poison(REGION, PAGE);
    assert!(node.machine.read(&staging("v")).is_err());
    let filesystems = node.machine.filesystems(&fuse);
    let mounts = filesystems.mounts().unwrap();
    let device = mounts.at(&staging("v")).unwrap().device;
    assert_eq!(filesystems.bad_bytes(device).unwrap(), PAGE.size);
}
