//! A volume that cannot be made where it was to be goes elsewhere after some tries.

use crds::{Phase, VolumeMode};
use placement::Bytes;
use rstest::rstest;
use simulation::devices::DeviceFault;

use crate::node::{Node, REGION_SIZE, Run};
use node_driver::volumes::{WorkResult, Worker};

/// More often than it is tried in one place.
const OFTEN: usize = 20;

async fn try_often(node: &Node, worker: &Worker<Run>, name: &str) {
    for _ in 0..OFTEN {
        if worker
            .reconcile(node.volume(name))
            .await
            .is_ok_and(|result| result == WorkResult::Settled)
        {
            return;
        }
    }
}

#[rstest]
#[case::no_label_can_be_written(DeviceFault::LabelsRefused)]
#[case::no_zeros_can_be_written(DeviceFault::ZeroWritesFail)]
#[case::nothing_can_be_flushed(DeviceFault::FlushFails)]
#[tokio::test]
async fn where_no_other_place_is_left_it_is_refused_and_leaves_nothing(#[case] fault: DeviceFault) {
    let node = Node::new();
    let worker = node.driver();
    node.machine.set_fault(fault, true);
    node.add_volume("v", 20, VolumeMode::Fsdax);
    try_often(&node, &worker, "v").await;
    assert_eq!(
        node.status("v").phase,
        Some(Phase::Refused),
        "{:?}",
        node.status("v").conditions
    );
    assert!(node.namespaces("v").is_empty());
    node.machine.set_fault(fault, false);
    node.is_fine();
}

/// What was handed out stays, however often something fails.
#[tokio::test]
async fn a_volume_that_is_ready_is_never_given_up() {
    let node = Node::new();
    let worker = node.driver();
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    worker.reconcile(volume).await.unwrap();
    node.machine.set_fault(DeviceFault::ListingFails, true);
    try_often(&node, &worker, "v").await;
    node.machine.set_fault(DeviceFault::ListingFails, false);
    worker.reconcile(node.volume("v")).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert_eq!(node.namespaces("v").len(), 1);
    assert!(node.namespaces("v")[0].extent.size < REGION_SIZE.minus(Bytes::mib(2)));
}
