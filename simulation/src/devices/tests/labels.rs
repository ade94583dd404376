//! Labels that are lost, refused or torn.

use std::sync::Arc;

use crds::{PmemVolume, RegionState, VolumeMode};
use node_driver::devices::{DeviceError, Stage};
use node_driver::volumes::WorkResult;
use rstest::rstest;

use super::node::{Node, as_filesystem, bare, region, target};
use crate::devices::{DeviceFault, Fuse, Machine};

/// A node with a volume that was handed out.
async fn handed_out() -> Node {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    node
}

fn stages_after_power_losses(node: &Node) -> Vec<Stage> {
    let (found, _) = node.only("v");
    let uuid = found.namespace.uuid;
    let stages =
        found
            .after_power_loss
            .iter()
            .filter_map(|name| match node_driver::devices::owner_of(name.as_deref()?, uuid) {
                node_driver::devices::Owner::Ours(mark) => Some(mark.stage),
                _ => None,
            });
    stages.collect()
}

#[tokio::test]
async fn a_lost_label_is_shown_but_not_recorded() {
    let node = handed_out().await;
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let devices = node.machine.devices(&Fuse::new());
    let before = devices.find_volume("v").unwrap().unwrap();
    for possible in [&[Stage::HandedOut][..], &[Stage::HandedOut, Stage::InUse]] {
        let marked = devices.mark("v", Stage::InUse);
        assert!(matches!(marked, Err(DeviceError::NotRecorded { .. })), "{marked:?}");
        let (found, stage) = node.only("v");
        assert_eq!((stage, found.namespace.is_recorded), (Stage::InUse, false));
        assert_eq!(stages_after_power_losses(&node), possible);
    }
    assert!(
        devices
            .find_volume("v")
            .unwrap()
            .is_some_and(|now| now.path == before.path)
    );
    node.machine.set_fault(DeviceFault::LabelsLost, false);
    devices.mark("v", Stage::InUse).unwrap();
    assert!(node.only("v").0.namespace.is_recorded);
    node.is_fine();
}

#[tokio::test]
async fn a_refused_label_leaves_the_old_one_and_the_block_device() {
    let node = handed_out().await;
    node.machine.set_fault(DeviceFault::LabelsRefused, true);
    let devices = node.machine.devices(&Fuse::new());
    let marked = devices.mark("v", Stage::InUse);
    assert!(matches!(marked, Err(DeviceError::Operation { .. })), "{marked:?}");
    let (found, stage) = node.only("v");
    assert_eq!((stage, found.namespace.is_recorded), (Stage::HandedOut, true));
    assert!(found.namespace.block.is_some());
}

/// Disabling is the first effect, the label the second, enabling the third.
#[rstest]
#[case::before(1, false, &[Stage::HandedOut])]
#[case::with_it(2, true, &[Stage::HandedOut, Stage::InUse])]
#[case::after(3, false, &[Stage::InUse])]
#[tokio::test]
async fn a_label_is_torn_only_if_the_run_ends_with_it(
    #[case] effects: u64,
    #[case] is_torn: bool,
    #[case] possible: &[Stage],
) {
    let mut seen = Vec::new();
    for seed in 0..20 {
        let node = handed_out().await;
        node.machine.set_fault(DeviceFault::LabelsTorn, true);
        let fuse = Fuse::new();
        fuse.blow_after(effects);
        assert!(node.machine.devices(&fuse).mark("v", Stage::InUse).is_err());
        assert_eq!(node.only("v").0.namespace.is_recorded, !is_torn);
        assert_eq!(stages_after_power_losses(&node), possible);
        node.machine.cut_power(&mut fastrand::Rng::with_seed(seed));
        let (found, stage) = node.only("v");
        seen.push((stage, found.namespace.is_recorded));
    }
    seen.sort_unstable_by_key(|(stage, is_recorded)| (stage.to_string(), *is_recorded));
    seen.dedup();
    assert_eq!(seen.len(), if is_torn { 4 } else { 1 }, "{seen:?}");
}

/// The kernel forgets the namespace, and a reboot brings it back.
#[tokio::test]
async fn a_label_that_cannot_be_deleted_hides_the_region_until_a_reboot() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let destroyed = devices.destroy("v", &[]);
    assert!(matches!(destroyed, Err(DeviceError::NotReady { .. })), "{destroyed:?}");
    let inventory = devices.inventory().unwrap();
    assert_eq!(inventory.regions[0].state, RegionState::NotSeen);
    assert!(inventory.namespaces.is_empty());
    node.machine.reboot();
    assert_eq!(node.only("v").1, Stage::Making);
    assert_eq!(devices.inventory().unwrap().regions[0].state, RegionState::Ready);
}

/// A namespace whose label never reached the modules is gone after a reboot.
#[tokio::test]
async fn what_has_no_label_does_not_outlive_a_reboot() {
    let node = Node::new();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let worker = node.worker(&Fuse::new());
    let volume = node.add("v", 20, VolumeMode::Fsdax);
    assert!(
        worker.reconcile(volume).await.is_err(),
        "not ready before it is recorded"
    );
    node.machine.set_fault(DeviceFault::LabelsLost, false);
    worker.reconcile(node.record.get("v").unwrap()).await.unwrap();
    assert!(node.only("v").0.namespace.is_recorded);

    let node = Node::new();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    node.machine.devices(&Fuse::new()).create(&bare("v", 16)).unwrap();
    assert!(!node.only("v").0.namespace.is_recorded);
    node.machine.reboot();
    assert!(node.machine.truth().namespaces.is_empty());
}

/// The kubelet tries again. What the kernel was told is not what is there after a power loss: the volume would be formatted anew.
#[tokio::test]
async fn a_volume_whose_mark_was_lost_is_not_handed_over_at_the_second_try() {
    let node = handed_out().await;
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
    kubelet.stage("v").await.unwrap_err();
    let handed_over = kubelet.stage("v").await.is_ok();
    node.is_fine();
    assert!(!handed_over);
}

/// A power loss would bring the volume back, and nobody would delete it then.
#[tokio::test]
async fn a_volume_whose_erasure_is_not_recorded_is_not_released() {
    let node = handed_out().await;
    node.machine.devices(&Fuse::new()).mark("v", Stage::InUse).unwrap();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    let worker = node.worker(&Fuse::new());
    node.delete("v");
    for _ in 0..2 {
        let volume = node.record.get("v").unwrap();
        let _result = worker.reconcile(volume).await;
        assert!(node.record.get("v").is_some());
    }
}

/// A power loss takes the quarantine back, and two namespaces have the mark of the volume.
#[tokio::test]
async fn a_quarantine_that_is_not_recorded_is_no_reason_for_a_second_namespace() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    devices.mark("v", Stage::Quarantined).unwrap_err();
    node.machine.set_fault(DeviceFault::LabelsLost, false);
    let worker = node.worker(&Fuse::new());
    let _result = worker.reconcile(node.add("v", 4, VolumeMode::Fsdax)).await;
    node.machine.cut_power(&mut fastrand::Rng::with_seed(0));
    node.is_fine();
}

/// The kernel shows neither; the labels are there, and after a reboot two namespaces would have the mark of the volume.
#[rstest]
#[case::could_not_be_deleted(false)]
#[case::in_a_disabled_region(true)]
#[tokio::test]
async fn what_is_there_after_a_reboot_is_a_reason_not_to_make_a_second(#[case] is_disabled: bool) {
    let node = Node {
        machine: Machine::new("node-1", &[region("r0", 64, 2), region("r1", 64, 2)]),
        record: Arc::default(),
    };
    node.make("v", 20, VolumeMode::Fsdax).await;
    let lost = node.only("v").0.namespace.region;
    node.delete("v");
    let worker = node.worker(&Fuse::new());
    worker.reconcile(node.record.get("v").unwrap()).await.unwrap();
    if is_disabled {
        node.machine.disable(&lost.0, true);
    } else {
        node.machine.set_fault(DeviceFault::LabelsLost, true);
        let _not_deleted = worker.clear("v").await;
        node.machine.set_fault(DeviceFault::LabelsLost, false);
    }
    let made = worker.reconcile(node.add("v", 20, VolumeMode::Fsdax)).await.unwrap();
    assert_eq!(made, WorkResult::Blocked);
    node.machine.reboot();
    node.is_fine();
    worker.clear("v").await.unwrap();
    let made = worker.reconcile(node.record.get("v").unwrap()).await.unwrap();
    assert_eq!(made, WorkResult::Settled);
    node.is_fine();
}

/// Its status tells nothing, because somebody wrote it over.
#[tokio::test]
async fn a_deleted_volume_is_not_released_while_a_label_of_it_is_in_a_disabled_region() {
    let node = handed_out().await;
    let region = node.only("v").0.namespace.region;
    let volume = node.record.get("v").unwrap();
    node.record.put(PmemVolume { status: None, ..volume });
    node.delete("v");
    node.machine.disable(&region.0, true);
    let worker = node.worker(&Fuse::new());
    let deleted = || node.record.get("v").unwrap();
    assert_eq!(worker.reconcile(deleted()).await.unwrap(), WorkResult::Blocked);
    node.machine.disable(&region.0, false);
    assert_eq!(worker.reconcile(deleted()).await.unwrap(), WorkResult::Released);
    worker.clear("v").await.unwrap();
    assert!(node.machine.truth().namespaces.is_empty());
}

/// A power loss would bring a volume in use back, with zeros instead of its data.
#[tokio::test]
async fn nothing_is_erased_before_it_is_recorded_that_it_is_to_be() {
    let node = handed_out().await;
    let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
    kubelet.stage("v").await.unwrap();
    kubelet.publish("v", false).await.unwrap();
    node.machine.write(&target("v"), 7).unwrap();
    kubelet.unpublish("v").await.unwrap();
    kubelet.unstage("v").await.unwrap();
    node.machine.set_fault(DeviceFault::LabelsLost, true);
    node.machine
        .devices(&Fuse::new())
        .mark("v", Stage::Erasing)
        .unwrap_err();
    let worker = node.worker(&Fuse::new());
    worker.clear("v").await.unwrap_err();
    assert_eq!(node.only("v").0.tokens, [7].into());
    node.machine.set_fault(DeviceFault::LabelsLost, false);
    worker.clear("v").await.unwrap();
    assert!(node.machine.truth().namespaces.is_empty());
    node.is_fine();
}
