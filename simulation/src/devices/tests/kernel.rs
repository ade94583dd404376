//! What the kernel allows, and what it shows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crds::VolumeMode;
use node_driver::devices::{DeviceError, EarlierVolume, NamespaceMode, Stage};
use node_driver::filesystem::{Content, Filesystem, PathTarget};
use node_driver::layout::bring_up;
use placement::{Bytes, Extent, MapLocation, Mode, RegionId};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::node::{Node, REGION, as_block, as_filesystem, bare, staging, target};
use crate::devices::{DeviceFault, Fuse, Holds};

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

#[test]
fn the_lowest_hole_that_fits_is_taken_and_hidden_space_is_not() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    for volume in ["a", "b", "c"] {
        devices.create(&bare(volume, 16)).unwrap();
    }
    devices.destroy("b", &[]).unwrap();
    devices.create(&bare("d", 14)).unwrap();
    assert_eq!(node.only("d").0.namespace.extent, mib(16, 14));
    node.machine.hide_space(REGION, mib(48, 16));
    assert_eq!(devices.inventory().unwrap().to_placement().regions[0].free.len(), 2);
    let refused = devices.create(&bare("e", 16));
    assert!(matches!(refused, Err(DeviceError::NoSpace { .. })), "{refused:?}");
    node.machine.show_space(REGION);
    devices.create(&bare("e", 16)).unwrap();
    assert_eq!(node.only("e").0.namespace.extent, mib(48, 16));
}

#[test]
fn a_namespace_has_no_block_device_until_it_is_configured_and_while_it_is_open_raw() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    assert!(matches!(devices.find_volume("v"), Err(DeviceError::Incomplete { .. })));
    let raw = devices.open_raw("v").unwrap();
    raw.write_zeros(Bytes::ZERO, &vec![0; 16 << 20]).unwrap();
    raw.flush().unwrap();
    let open = devices.configure("v", Mode::Sector);
    assert!(matches!(open, Err(DeviceError::InUse { .. })), "{open:?}");
    drop(raw);
    devices.configure("v", Mode::Sector).unwrap();
    let path = devices.find_volume("v").unwrap().unwrap().path;
    assert_eq!(path, Path::new("/dev/pmem0.0s"));
    drop(devices.open_raw("v").unwrap());
    assert!(matches!(devices.find_volume("v"), Err(DeviceError::Incomplete { .. })));
    node.is_fine();
    assert_eq!(node.only("v").0.holds, Holds::Blank);
}

/// What somebody forgot to zero is noticed at once.
#[test]
fn configuring_and_handing_out_what_is_not_zero_is_remembered() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    devices.configure("v", Mode::Fsdax(MapLocation::Dev)).unwrap();
    devices.mark("v", Stage::HandedOut).unwrap();
    let violations = node.machine.violations();
    assert!(
        violations.iter().any(|what| what.contains("configured")),
        "{violations:?}"
    );
    assert!(
        violations.iter().any(|what| what.contains("handed out")),
        "{violations:?}"
    );
    let device = devices.find_volume("v").unwrap().unwrap().path;
    let filesystems = node.machine.filesystems(&Fuse::new());
    filesystems.content(&device).unwrap();
    let violations = node.machine.violations();
    assert!(
        violations.iter().any(|what| what.contains("shows Earlier")),
        "{violations:?}"
    );
}

/// Zeros that a power loss may take back are none.
#[test]
fn configuring_what_was_not_flushed_is_remembered() {
    for is_flushed in [false, true] {
        let node = Node::new();
        let devices = node.machine.devices(&Fuse::new());
        devices.create(&bare("v", 16)).unwrap();
        let raw = devices.open_raw("v").unwrap();
        raw.write_zeros(Bytes::ZERO, &vec![0; 16 << 20]).unwrap();
        if is_flushed {
            raw.flush().unwrap();
        }
        drop(raw);
        devices.configure("v", Mode::Sector).unwrap();
        assert_eq!(node.machine.violations().is_empty(), is_flushed);
    }
}

/// What is erased is free only when every byte is zero, also after a power loss.
#[tokio::test]
async fn freeing_what_is_not_zero_is_remembered() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let devices = node.machine.devices(&Fuse::new());
    devices.mark("v", Stage::Erasing).unwrap();
    devices.destroy("v", &[]).unwrap();
    let violations = node.machine.violations();
    assert!(violations[0].contains("before its bytes are zero"), "{violations:?}");
}

#[tokio::test]
async fn what_the_mark_forbids_is_refused_and_remembered() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let fuse = Fuse::new();
    let devices = node.machine.devices(&fuse);
    devices.mark("v", Stage::InUse).unwrap();
    let refusals = [
        devices.open_raw("v").map(drop),
        devices.configure("v", Mode::Sector),
        devices.destroy("v", &[]),
        devices.mark("v", Stage::Making),
    ];
    for refused in refusals {
        assert!(matches!(refused, Err(DeviceError::WrongStage { .. })), "{refused:?}");
    }
    assert_eq!(node.machine.violations().len(), 4);
    let device = devices.find_volume("v").unwrap().unwrap();
    let filesystems = node.machine.filesystems(&fuse);
    filesystems
        .format(&device.path, Filesystem::Ext4, device.usable)
        .unwrap();
    assert!(node.machine.violations()[4].contains("is formatted"));
}

#[tokio::test]
async fn a_mark_gives_the_block_device_another_number() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let fuse = Fuse::new();
    let (devices, filesystems) = (node.machine.devices(&fuse), node.machine.filesystems(&fuse));
    let path = devices.find_volume("v").unwrap().unwrap().path;
    let number = || filesystems.stat(&path).unwrap().unwrap();
    let before = number();
    devices.mark("v", Stage::InUse).unwrap();
    assert!(matches!(before, PathTarget::BlockDevice(_)));
    assert_ne!(number(), before);
    let unused = filesystems.stat(Path::new("/dev/pmem0.7")).unwrap();
    assert_eq!(unused, None);
}

#[tokio::test]
async fn what_is_mounted_or_bound_is_in_use() {
    for access in [as_filesystem(), as_block()] {
        let node = Node::new();
        node.make("v", 20, VolumeMode::Fsdax).await;
        let fuse = Fuse::new();
        let kubelet = node.kubelet(&fuse, access);
        kubelet.stage("v").await.unwrap();
        kubelet.publish("v", false).await.unwrap();
        let marked = node.machine.devices(&fuse).mark("v", Stage::Erasing);
        assert!(matches!(marked, Err(DeviceError::InUse { .. })), "{marked:?}");
        node.machine.disable(REGION, true);
        let regions = node.machine.truth().regions;
        assert_eq!(
            regions[0].state,
            crds::RegionState::Ready,
            "a region in use cannot be disabled"
        );
    }
}

/// Killed after any effect of a read-only publish, the next one does it, and everything can be taken away.
#[tokio::test]
async fn an_interrupted_read_only_bind_is_cleared() {
    for effects in 1..12 {
        let node = Node::new();
        node.make("v", 20, VolumeMode::Fsdax).await;
        node.kubelet(&Fuse::new(), as_filesystem()).stage("v").await.unwrap();
        let fuse = Fuse::new();
        fuse.blow_after(effects);
        let interrupted = node.kubelet(&fuse, as_filesystem()).publish("v", true).await;
        assert_eq!(interrupted.is_err(), fuse.is_blown());
        let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
        kubelet.publish("v", true).await.unwrap();
        assert!(node.machine.write(&target("v"), 1).is_err(), "{effects}");
        kubelet.unpublish("v").await.unwrap();
        kubelet.unstage("v").await.unwrap();
        assert!(node.machine.truth().mounts.is_empty(), "{effects}");
        node.is_fine();
    }
}

/// Also with the power cut after each effect.
#[tokio::test]
async fn a_format_that_was_killed_is_begun_again() {
    for effects in 1..8 {
        for is_power_cut in [false, true] {
            let node = Node::new();
            node.make("v", 20, VolumeMode::Fsdax).await;
            let fuse = Fuse::new();
            fuse.blow_after(effects);
            let _killed = node.kubelet(&fuse, as_filesystem()).stage("v").await;
            if is_power_cut {
                node.machine.cut_power(&mut fastrand::Rng::with_seed(effects));
            }
            let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
            kubelet.stage("v").await.unwrap();
            assert_eq!(node.machine.read(&staging("v")).unwrap(), None);
            node.is_fine();
        }
    }
}

#[test]
fn killed_in_the_midst_of_mkfs_there_is_neither_nothing_nor_a_file_system() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let node = Node::new();
    runtime.block_on(node.make("v", 20, VolumeMode::Fsdax));
    let fuse = Fuse::new();
    fuse.blow_after(1);
    let device = node.only("v").0.namespace.block.unwrap();
    let killed = node.machine.filesystems(&fuse);
    assert!(killed.format(&device, Filesystem::Ext4, Bytes::mib(20)).is_err());
    let content = node.machine.filesystems(&Fuse::new()).content(&device).unwrap();
    assert!(matches!(content, Content::Foreign(_)), "{content:?}");
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_a_killed_run_left_disabled_is_brought_up_by_the_next() {
    for stays in [false, true] {
        let node = Node::new();
        node.make("v", 20, VolumeMode::Fsdax).await;
        node.machine.set_fault(DeviceFault::StaysDisabled, stays);
        let fuse = Fuse::new();
        fuse.blow_after(1);
        assert!(node.machine.devices(&fuse).mark("v", Stage::InUse).is_err());
        assert_eq!(node.only("v").0.namespace.mode, NamespaceMode::Raw);
        let next = node.machine.devices(&Fuse::new());
        assert!(node.only("v").0.namespace.block.is_none(), "before it is asked to");
        next.bring_up().unwrap();
        assert_eq!(node.only("v").0.namespace.block.is_none(), stays);
        node.machine.enable_by_hand("namespace0.0");
        assert!(node.only("v").0.namespace.block.is_some());
    }
}

/// The driver asks for it once: what an administrator disables afterwards stays so.
#[tokio::test(start_paused = true)]
async fn a_start_of_the_driver_brings_up_what_is_disabled_as_soon_as_it_can_list_it() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    node.machine.disable_by_hand("namespace0.0");
    node.machine.set_fault(DeviceFault::ListingFails, true);
    let _later = bring_up(node.machine.devices(&Fuse::new()), &CancellationToken::new()).await;
    assert!(node.only("v").0.namespace.block.is_none());
    node.machine.set_fault(DeviceFault::ListingFails, false);
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_some());
    node.machine.disable_by_hand("namespace0.0");
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_none());
}

/// Found by the simulation: the kernel refused to enable it, and nobody tried again until the driver was started anew.
#[tokio::test(start_paused = true)]
async fn what_the_driver_could_not_enable_is_enabled_as_soon_as_the_kernel_does_it() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let devices = node.machine.devices(&Fuse::new());
    let _later = bring_up(Arc::clone(&devices), &CancellationToken::new()).await;
    node.machine.set_fault(DeviceFault::StaysDisabled, true);
    let marked = devices.mark("v", Stage::InUse);
    assert!(matches!(marked, Err(DeviceError::LeftDisabled { .. })), "{marked:?}");
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_none());
    // While it is not shown, it is not forgotten.
    node.machine.hide_region(REGION, true);
    sleep(LONG).await;
    node.machine.hide_region(REGION, false);
    node.machine.set_fault(DeviceFault::StaysDisabled, false);
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_some());
    // What an administrator disables stays so.
    node.machine.disable_by_hand("namespace0.0");
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_none());
}

/// Found by the simulation: a driver was killed, and the next one did not see the region when it started.
#[tokio::test(start_paused = true)]
async fn what_is_disabled_in_a_region_that_was_away_is_enabled_when_the_region_is_seen() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    node.machine.disable_by_hand("namespace0.0");
    node.machine.hide_region(REGION, true);
    let devices = node.machine.devices(&Fuse::new());
    let _later = bring_up(Arc::clone(&devices), &CancellationToken::new()).await;
    node.machine.hide_region(REGION, false);
    devices.inventory().unwrap();
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_some());
}

/// Found by the simulation: etcd was restored while a deletion could not be recorded on the device, and the volume was wanted again.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_marked_as_to_be_erased_is_up_again() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let devices = node.machine.devices(&Fuse::new());
    let _later = bring_up(Arc::clone(&devices), &CancellationToken::new()).await;
    devices.mark("v", Stage::InUse).unwrap();
    node.machine.set_fault(DeviceFault::LabelsRefused, true);
    devices.mark("v", Stage::Erasing).unwrap_err();
    assert!(node.only("v").0.namespace.block.is_none());
    sleep(LONG).await;
    assert!(node.only("v").0.namespace.block.is_some());
}

/// Its object says where it is; a start of the driver knows it only by its mark.
#[tokio::test]
async fn a_volume_of_before_there_were_marks_that_was_left_disabled_is_up_when_it_is_marked() {
    let node = Node::new();
    let extent = mib(16, 16);
    node.machine.put_earlier("v", REGION, extent, 7);
    let earlier = EarlierVolume {
        volume: "v".into(),
        region: RegionId(REGION.into()),
        extent,
    };
    let fuse = Fuse::new();
    fuse.blow_after(1);
    assert!(
        node.machine
            .devices(&fuse)
            .mark_earlier(&earlier, Stage::InUse)
            .is_err()
    );
    let next = node.machine.devices(&Fuse::new());
    next.bring_up().unwrap();
    assert!(next.find_volume("v").is_err());
    next.mark_earlier(&earlier, Stage::InUse).unwrap();
    assert!(next.find_volume("v").unwrap().is_some());
    node.is_fine();
}

#[tokio::test]
async fn of_a_region_that_is_away_nothing_is_shown_and_everything_is_there_again() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let devices = node.machine.devices(&Fuse::new());
    let shown = || {
        let inventory = devices.inventory().unwrap();
        (inventory.regions.len(), inventory.namespaces.len())
    };
    let away: [(&dyn Fn(bool), usize); 3] = [
        (&|on| node.machine.hide_region(REGION, on), 0),
        (&|on| node.machine.not_seen(REGION, on), 1),
        (&|on| node.machine.disable(REGION, on), 1),
    ];
    for (set, regions) in away {
        set(true);
        assert_eq!(shown(), (regions, 0));
        assert_eq!(node.only("v").1, Stage::HandedOut, "it is there all the same");
        set(false);
        assert_eq!(shown(), (1, 1));
    }
}

#[tokio::test]
async fn a_new_file_system_does_not_show_what_an_older_one_had() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
    kubelet.stage("v").await.unwrap();
    node.machine.write(&staging("v"), 7).unwrap();
    kubelet.unstage("v").await.unwrap();
    let (found, _) = node.only("v");
    let device = found.namespace.block.unwrap();
    let filesystems = node.machine.filesystems(&Fuse::new());
    filesystems.format(&device, Filesystem::Ext4, Bytes::mib(20)).unwrap();
    kubelet.stage("v").await.unwrap();
    assert_eq!(node.machine.read(&staging("v")).unwrap(), None);
    assert_eq!(node.only("v").0.tokens, [7].into(), "the bytes are there all the same");
}
