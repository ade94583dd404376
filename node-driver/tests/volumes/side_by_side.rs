//! Several volumes at once.

use std::sync::Arc;

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};
use simulation::devices::DeviceFault;

use crate::node::Node;
use node_driver::devices::NamespaceMode;
use node_driver::volumes::WorkResult;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_gets_its_own_bytes() {
    let node = Node::new();
    let worker = Arc::new(node.driver());
    let volumes: Vec<_> = ["a", "b", "c"]
        .map(|name| node.add_volume(name, 14, VolumeMode::Fsdax))
        .into();
    let tasks: Vec<_> = volumes
        .into_iter()
        .map(|volume| {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move {
                // Whoever comes too early is called again.
                loop {
                    match worker.reconcile(volume.clone()).await.unwrap() {
                        WorkResult::Behind => tokio::task::yield_now().await,
                        result => return result,
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), WorkResult::Settled);
    }
    let extents = ["a", "b", "c"].map(|name| node.status(name).footprint.unwrap());
    for (i, one) in extents.iter().enumerate() {
        assert!(extents[..i].iter().all(|other| !one.overlaps(*other)));
    }
    node.is_fine();
}

/// Operator and extender foresee regions in this order.
#[tokio::test]
async fn the_older_one_chooses_its_region_first() {
    let node = Node::new();
    let worker = node.driver();
    let (older, younger) = (
        node.add_volume("a", 14, VolumeMode::Fsdax),
        node.add_volume("b", 14, VolumeMode::Fsdax),
    );
    assert_eq!(worker.reconcile(younger.clone()).await.unwrap(), WorkResult::Behind);
    assert!(node.all().is_empty());
    // Who waits asks often, and looks at no device for that.
    node.machine.set_fault(DeviceFault::ListingFails, true);
    assert_eq!(worker.reconcile(younger.clone()).await.unwrap(), WorkResult::Behind);
    node.machine.set_fault(DeviceFault::ListingFails, false);
    for volume in [older, younger] {
        assert_eq!(worker.reconcile(volume).await.unwrap(), WorkResult::Settled);
    }
    node.is_fine();
}

/// Operator and extender count on it, and promise others what is left.
#[tokio::test]
async fn a_region_that_was_chosen_stays_the_one_when_another_would_fit_better() {
    let node = Node::with_regions(&["r0", "r1"]);
    let volume = node.add_volume("v", 20, VolumeMode::Fsdax);
    assert!(node.driver_killed_after(1).reconcile(volume).await.is_err());
    let region = |node: &Node| node.status("v").region.unwrap().0;
    assert_eq!((region(&node), node.all().len()), ("r0".into(), 0));
    let extent = Extent::new(Bytes::ZERO, Bytes::mib(30));
    node.machine.put_foreign("other", "r1", extent, NamespaceMode::Fsdax);
    node.driver().reconcile(node.volume("v")).await.unwrap();
    assert_eq!(
        (region(&node), node.status("v").phase),
        ("r0".into(), Some(Phase::Ready))
    );
    node.is_fine();
}

#[tokio::test]
async fn an_older_one_that_gets_no_space_is_in_nobodys_way() {
    let node = Node::new();
    let worker = node.driver();
    node.add_volume("a", 1000, VolumeMode::Fsdax);
    let younger = node.add_volume("b", 14, VolumeMode::Fsdax);
    assert_eq!(worker.reconcile(younger).await.unwrap(), WorkResult::Settled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_erasure_keeps_nobody_waiting() {
    let node = Node::new();
    let worker = Arc::new(node.driver());
    worker
        .reconcile(node.add_volume("old", 14, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.machine.hold_zeros("old", true);
    node.delete("old");
    let erasing = tokio::spawn({
        let (worker, volume) = (Arc::clone(&worker), node.volume("old"));
        async move {
            assert_eq!(worker.reconcile(volume).await.unwrap(), WorkResult::Released);
            worker.clear("old").await.unwrap();
        }
    });

    worker
        .reconcile(node.add_volume("new", 14, VolumeMode::Fsdax))
        .await
        .unwrap();
    assert_eq!(node.status("new").phase, Some(Phase::Ready));
    assert!(!erasing.is_finished());

    node.machine.hold_zeros("old", false);
    erasing.await.unwrap();
    assert!(node.namespaces("old").is_empty());
}
