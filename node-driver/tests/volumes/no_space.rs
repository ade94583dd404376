//! Space that seems to be free, and that the kernel does not give.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};

use crate::node::{Node, REGION, REGION_SIZE};
use node_driver::volumes::WorkResult;

/// The pod of a claim that is refused goes to another node.
#[tokio::test]
async fn a_volume_that_the_kernel_has_no_space_for_is_refused() {
    let node = Node::new();
    node.machine
        .hide_space(REGION, Extent::new(Bytes::mib(32), Bytes::mib(2)));
    let worker = node.driver();
    let large = node.add_volume("large", 40, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(large).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("large").phase, Some(Phase::Refused));
    let small = node.add_volume("small", 14, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(small).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("small").phase, Some(Phase::Ready));
    node.is_fine();
}

#[tokio::test]
async fn a_volume_that_the_kernel_has_no_space_for_is_made_in_another_region() {
    let node = Node::with_regions(&["r0", "r1"]);
    node.machine.hide_space("r0", Extent::new(Bytes::ZERO, REGION_SIZE));
    let worker = node.driver();
    let volume = node.add_volume("v", 40, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(volume).await.unwrap(), WorkResult::Settled);
    let status = node.status("v");
    assert_eq!(status.phase, Some(Phase::Ready));
    assert_eq!(status.region.unwrap().0, "r1");
    node.is_fine();
}
