//! Bytes that cannot be zeroed are never handed out and never trap a claim.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};

use crate::node::{Node, REGION};
use node_driver::volumes::WorkResult;

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

const PAGE: Extent = Extent::new(Bytes::mib(5), Bytes::kib(4));

#[tokio::test]
async fn a_volume_that_met_bad_blocks_while_it_was_made_is_made_elsewhere_at_once() {
    let node = Node::new();
    node.machine.poison_unknown(REGION, PAGE);
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert_eq!(node.driver().reconcile(volume).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    assert_eq!(node.status("v").footprint, Some(mib(22, 22)));
    assert!(node.is_zero(mib(24, 20)));

    let quarantined = node.quarantined("v");
    assert_eq!(quarantined.len(), 1);
    assert_eq!(quarantined[0].extent, mib(0, 22));
    assert!(
        node.is_zero(mib(0, 5)) && node.is_zero(mib(6, 16)),
        "the rest is not zero"
    );
}

#[tokio::test]
async fn where_no_other_place_is_left_it_is_refused_with_the_numbers() {
    let node = Node::new();
    node.machine.poison_unknown(REGION, PAGE);
    let volume = node.add_volume("v", 40, VolumeMode::Fsdax);
    node.driver().reconcile(volume).await.unwrap();
    assert_eq!(node.status("v").phase, Some(Phase::Refused));
    let message = &node.status("v").conditions[0].message;
    assert!(message.contains("asked 40 MiB; largest extent 20 MiB"), "{message}");
    assert_eq!(node.quarantined("v").len(), 1);
}

#[tokio::test]
async fn a_deleted_volume_with_bad_blocks_is_let_go_and_its_bytes_stay_out_of_use() {
    let node = Node::new();
    let worker = node.driver();
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    worker.reconcile(volume).await.unwrap();
    node.fill("v");
    node.machine.poison_unknown(REGION, PAGE);
    node.delete("v");
    assert_eq!(worker.reconcile(node.volume("v")).await.unwrap(), WorkResult::Released);
    worker.clear("v").await.unwrap();
    assert!(node.namespaces("v").is_empty());
    assert_eq!(node.quarantined("v")[0].extent, mib(0, 22));
    assert!(
        node.is_zero(mib(0, 5)) && node.is_zero(mib(6, 16)),
        "the rest is not zero"
    );

    // The next of the name is another volume, in another place.
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(volume).await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("v").footprint, Some(mib(22, 22)));
    worker.clear("v").await.unwrap();
    assert_eq!((node.namespaces("v").len(), node.quarantined("v").len()), (1, 1));
}

#[tokio::test]
async fn a_volume_that_is_not_wanted_any_more_leaves_its_bad_blocks_in_quarantine() {
    for effects in 0..60 {
        let node = Node::new();
        node.machine.poison_unknown(REGION, PAGE);
        let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
        let worker = node.driver_killed_after(effects);
        let _killed = worker.reconcile(volume).await;
        node.record.remove("v");
        node.driver().clear("v").await.unwrap();
        assert!(node.namespaces("v").is_empty(), "killed after {effects}");
        assert!(node.quarantined("v").len() <= 1, "killed after {effects}");
    }
}
