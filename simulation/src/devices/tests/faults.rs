//! Each fault does what its name says.

use std::path::Path;

use crds::VolumeMode;
use node_driver::devices::{DeviceError, Stage};
use node_driver::filesystem::{Content, Filesystem, MountOptions};
use placement::Bytes;

use super::node::{Node, bare};
use crate::devices::{DeviceFault, Fuse};

#[test]
fn listings_fail_always_or_every_second_time() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    node.machine.set_fault(DeviceFault::ListingFails, true);
    assert!(devices.inventory().is_err() && devices.inventory().is_err());
    node.machine.set_fault(DeviceFault::ListingFails, false);
    node.machine.set_fault(DeviceFault::ListingPartialThenFails, true);
    assert!(devices.inventory().is_err() && devices.inventory().is_ok() && devices.inventory().is_err());
}

/// The listing that reads a mark back fails: the mark is there all the same.
#[test]
fn what_cannot_be_read_back_is_changed() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    node.machine.set_fault(DeviceFault::ListingPartialThenFails, true);
    assert!(devices.inventory().is_err());
    let marked = devices.mark("v", Stage::Quarantined);
    assert!(matches!(marked, Err(DeviceError::Listing(_))), "{marked:?}");
    assert_eq!(node.only("v").1, Stage::Quarantined);
}

#[test]
fn zeros_and_flushes_fail() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    devices.create(&bare("v", 16)).unwrap();
    let raw = devices.open_raw("v").unwrap();
    node.machine.set_fault(DeviceFault::ZeroWritesFail, true);
    let refused = raw.write_zeros(Bytes::ZERO, &[0; 4096]).unwrap_err();
    assert_ne!(refused.raw_os_error(), Some(5), "it would be taken for a bad block");
    node.machine.set_fault(DeviceFault::ZeroWritesFail, false);
    node.machine.set_fault(DeviceFault::FlushFails, true);
    raw.write_zeros(Bytes::ZERO, &[0; 4096]).unwrap();
    assert!(raw.flush().is_err());
}

#[test]
fn no_space_although_there_is() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    node.machine.set_fault(DeviceFault::CreateRefused, true);
    assert!(matches!(
        devices.create(&bare("v", 16)),
        Err(DeviceError::NoSpace { .. })
    ));
    node.machine.set_fault(DeviceFault::CreateRefused, false);
    devices.create(&bare("v", 16)).unwrap();
}

#[test]
fn changes_are_announced_unless_that_is_lost() {
    let node = Node::new();
    let devices = node.machine.devices(&Fuse::new());
    let mut changes = node.machine.changes();
    devices.create(&bare("v", 16)).unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    devices.inventory().unwrap();
    assert!(!changes.has_changed().unwrap(), "looking changes nothing");
    node.machine.set_fault(DeviceFault::AnnouncementsLost, true);
    devices.destroy("v", &[]).unwrap();
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn calls_for_file_systems_fail() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let fuse = Fuse::new();
    let (devices, filesystems) = (node.machine.devices(&fuse), node.machine.filesystems(&fuse));
    let device = devices.find_volume("v").unwrap().unwrap();
    let point = Path::new("/target");
    filesystems.make_directory(point).unwrap();
    let failing = |fault, is_failing: &dyn Fn() -> bool| {
        node.machine.set_fault(fault, true);
        let failed = is_failing();
        node.machine.set_fault(fault, false);
        assert!(failed, "{fault:?}");
    };
    let format = || filesystems.format(&device.path, Filesystem::Ext4, device.usable);
    failing(DeviceFault::FormatFails, &|| format().is_err());
    let garbage = filesystems.content(&device.path).unwrap();
    assert!(matches!(garbage, Content::Foreign(_)), "{garbage:?}");
    format().unwrap();
    failing(DeviceFault::ContentFails, &|| {
        filesystems.content(&device.path).is_err()
    });
    failing(DeviceFault::StatFails, &|| {
        filesystems.stat(point).is_err() && filesystems.mounts().is_err()
    });
    devices.mark("v", Stage::InUse).unwrap();
    let mount = || filesystems.mount(&device.path, point, Filesystem::Ext4, &MountOptions::default());
    failing(DeviceFault::MountFails, &|| mount().is_err());
    mount().unwrap();
    failing(DeviceFault::UnmountFails, &|| filesystems.unmount(point).is_err());
    filesystems.unmount(point).unwrap();
    node.is_fine();
}

#[test]
fn all_faults_can_be_set_and_taken_back() {
    let node = Node::new();
    for fault in DeviceFault::ALL {
        node.machine.set_fault(fault, true);
        assert!(node.machine.has_fault(fault));
        node.machine.set_fault(fault, false);
        assert!(!node.machine.has_fault(fault));
    }
}
