//! What an erasure left is not read again, and nothing else is ever taken for it.

use crds::{Phase, VolumeMode};
use simulation::devices::DeviceFault;

use crate::node::Node;

/// A volume of `mib` is made, filled, deleted and erased.
async fn live_and_die(node: &Node, name: &str, mib: u32) {
    let worker = node.driver();
    let volume = node.add_volume(name, mib, VolumeMode::Fsdax);
    worker.reconcile(volume).await.unwrap();
    node.fill(name);
    node.delete(name);
    worker.reconcile(node.volume(name)).await.unwrap();
    node.record.remove(name);
    worker.clear(name).await.unwrap();
    assert!(node.namespaces(name).is_empty());
}

/// How many reads of raw bytes it takes to make a volume. It is ready then.
async fn reads(node: &Node, name: &str, mib: u32) -> u64 {
    let before = node.machine.raw_reads();
    let volume = node.add_volume(name, mib, VolumeMode::Fsdax);
    node.driver().reconcile(volume).await.unwrap();
    assert_eq!(node.status(name).phase, Some(Phase::Ready));
    node.machine.raw_reads() - before
}

#[tokio::test]
async fn what_an_erasure_left_is_not_read_again() {
    let node = Node::new();
    assert!(reads(&node, "before", 14).await > 0);
    live_and_die(&node, "v", 30).await;
    // In two pieces, by two more runs of the driver.
    assert_eq!(reads(&node, "w", 14).await, 0);
    assert_eq!(reads(&node, "x", 14).await, 0);
    // The rest of the region is as it was.
    assert!(reads(&node, "y", 14).await > 0);
}

#[tokio::test]
async fn it_is_not_read_after_the_power_was_cut_and_the_kernel_started_anew() {
    for cut in [false, true] {
        let node = Node::new();
        live_and_die(&node, "v", 30).await;
        if cut {
            node.machine.cut_power(&mut fastrand::Rng::with_seed(1));
        } else {
            node.machine.reboot();
        }
        assert_eq!(reads(&node, "w", 30).await, 0);
    }
}

#[tokio::test]
async fn bytes_that_somebody_else_had_are_read_whoever_saw_that() {
    for is_seen in [false, true] {
        for seed in 0..20 {
            let (node, rng) = (Node::new(), &mut fastrand::Rng::with_seed(seed));
            live_and_die(&node, "v", 60).await;
            let worker = node.driver();
            assert!(node.machine.foreign_create(rng).is_some());
            if is_seen {
                worker.clear("v").await.unwrap();
            }
            assert!(node.machine.foreign_destroy(rng).is_some());
            assert!(reads(&node, "w", 14).await > 0);
            assert_eq!(node.machine.violations(), [""; 0], "seed {seed}");
        }
    }
}

#[tokio::test]
async fn what_was_not_flushed_is_not_noted() {
    let node = Node::new();
    let worker = node.driver();
    worker
        .reconcile(node.add_volume("v", 30, VolumeMode::Fsdax))
        .await
        .unwrap();
    node.fill("v");
    node.delete("v");
    worker.reconcile(node.volume("v")).await.unwrap();
    node.record.remove("v");
    node.machine.set_fault(DeviceFault::FlushFails, true);
    assert!(worker.clear("v").await.is_err());
    for seed in 0..20 {
        let node = node.clone();
        node.machine.cut_power(&mut fastrand::Rng::with_seed(seed));
        assert_eq!(node.machine.violations(), [""; 0]);
    }
    node.machine.set_fault(DeviceFault::FlushFails, false);
    node.driver().clear("v").await.unwrap();
    assert_eq!(reads(&node, "w", 30).await, 0);
    assert_eq!(node.machine.violations(), [""; 0]);
}

/// Killed anywhere, with labels lost or torn, and the power cut: nobody gets bytes that are not zero.
#[tokio::test]
async fn a_run_that_ends_anywhere_leaves_nothing_that_is_taken_for_zero() {
    let faults = [None, Some(DeviceFault::LabelsLost), Some(DeviceFault::LabelsTorn)];
    for (seed, fault) in (0..).zip(faults.iter().cycle()).take(240) {
        let (node, rng) = (Node::new(), &mut fastrand::Rng::with_seed(seed));
        live_and_die(&node, "v", 30).await;
        if let Some(fault) = fault {
            node.machine.set_fault(*fault, true);
        }
        let volume = node.add_volume("w", 30, VolumeMode::Fsdax);
        let _killed = node.driver_killed_after(seed / 6).reconcile(volume.clone()).await;
        if rng.bool() {
            let _unmade = node.driver().reconcile(volume).await;
        }
        if let Some(fault) = fault {
            node.machine.set_fault(*fault, false);
        }
        node.machine.cut_power(rng);
        node.record.remove("w");
        node.driver().clear("w").await.unwrap();
        reads(&node, "x", 30).await;
        assert_eq!(node.machine.violations(), [""; 0], "seed {seed} {fault:?}");
    }
}
