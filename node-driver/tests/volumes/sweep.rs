//! Free bytes become zero before somebody needs them, and nobody waits for that.

use std::sync::Arc;

use crds::{Phase, VolumeMode};
use node_driver::volumes::{EraseRates, WorkResult};
use placement::Bytes;

use crate::node::Node;

/// Waits until a region is being swept.
async fn is_sweeping(node: &Node) {
    let is_sweep = |node: &Node| {
        node.all()
            .iter()
            .any(|found| found.namespace.name.starts_with("sweep_"))
    };
    while !is_sweep(node) {
        tokio::task::yield_now().await;
    }
}

async fn ready(node: &Node, name: &str) {
    let volume = node.add_volume(name, 14, VolumeMode::Fsdax);
    node.driver().reconcile(volume).await.unwrap();
    assert_eq!(node.status(name).phase, Some(Phase::Ready));
}

#[tokio::test]
async fn what_was_swept_is_not_read() {
    let node = Node::new();
    let left = node.driver().sweep_at_once().await.unwrap();
    assert!(left.values().eq([&Bytes::ZERO]), "{left:?}");
    let before = node.machine.raw_reads();
    ready(&node, "v").await;
    assert_eq!(node.machine.raw_reads(), before);
    node.is_fine();
}

/// Somebody wrote over the label area. Whoever writes it back finds the volume.
#[tokio::test]
async fn bytes_of_a_volume_whose_labels_are_lost_stay() {
    let node = Node::new();
    ready(&node, "v").await;
    let extent = node.status("v").footprint.unwrap();
    node.fill("v");
    node.destroy_all();
    let left = node.driver().sweep_at_once().await.unwrap();
    assert!(left.values().all(|left| *left >= extent.size), "{left:?}");
    assert!(node.all().is_empty());
    assert!(node.is_filled(extent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_needs_space_ends_a_sweep() {
    let node = Node::new();
    let worker = Arc::new(node.driver());
    node.machine.hold_zeros("sweep_", true);
    let sweeping = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.sweep_at_once().await.unwrap() }
    });
    is_sweeping(&node).await;
    let making = tokio::spawn({
        let (worker, volume) = (Arc::clone(&worker), node.add_volume("v", 14, VolumeMode::Fsdax));
        async move { worker.reconcile(volume).await.unwrap() }
    });
    // It has the region recorded, and waits for the byte that is being written.
    while node.status("v").region.is_none() {
        tokio::task::yield_now().await;
    }
    node.machine.hold_zeros("sweep_", false);
    assert_eq!(making.await.unwrap(), WorkResult::Settled);
    assert_eq!(node.status("v").phase, Some(Phase::Ready));
    sweeping.await.unwrap();
    assert_eq!(node.all().len(), 1, "{:?}", node.all());
    node.is_fine();
}

/// A class may have its volumes erased for days.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_erasure_that_may_not_go_fast_keeps_no_other_waiting() {
    let node = Node::new();
    for name in ["slow", "other"] {
        ready(&node, name).await;
        node.delete(name);
    }
    let rates = EraseRates::default();
    let worker = Arc::new(node.driver().with_rates(rates.clone()));
    for name in ["slow", "other"] {
        let released = worker.reconcile(node.volume(name)).await.unwrap();
        assert_eq!(released, WorkResult::Released);
    }
    // As its object would have said.
    rates.set("slow", Some(Bytes::mib(100)));
    node.machine.hold_zeros("slow", true);
    let slow = tokio::spawn({
        let worker = Arc::clone(&worker);
        async move { worker.clear("slow").await.unwrap() }
    });
    worker.clear("other").await.unwrap();
    assert!(node.namespaces("other").is_empty());
    assert!(!slow.is_finished());
    node.machine.hold_zeros("slow", false);
    slow.await.unwrap();
    assert!(node.namespaces("slow").is_empty());
}
