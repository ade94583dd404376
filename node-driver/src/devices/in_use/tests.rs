//! What the kernel shows, with loop devices in the place of persistent memory.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::filesystem::MountTable;

/// A loop device over a sparse file, and a folder for mounts. They go away with it.
struct Disk {
    folder: TempDir,
    device: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disk.img");
        File::create(&file).unwrap().set_len(64 << 20).unwrap();
        let device = printed_by("losetup", &["--find", "--show", file.to_str().unwrap()]);
        Self {
            folder,
            device: device.into(),
        }
    }

    fn path(&self) -> &str {
        self.device.to_str().unwrap()
    }

    fn at(&self, name: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        folder.join(name).to_str().unwrap().to_owned()
    }

    /// Who uses it; empty if nobody does.
    fn used_by(&self) -> String {
        match require_unused("v", &self.device) {
            Ok(()) => String::new(),
            Err(DeviceError::InUse { by, .. }) => by,
            Err(other) => panic!("{}", program::chain(&other)),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let table = std::fs::read("/proc/self/mountinfo").unwrap();
        let table = MountTable::parse(&table).unwrap();
        let base = self.folder.path().canonicalize().unwrap();
        let left = table.iter().filter(|mount| mount.point.starts_with(&base));
        for mount in left.collect::<Vec<_>>().into_iter().rev() {
            rustix::mount::unmount(&mount.point, rustix::mount::UnmountFlags::empty()).unwrap();
        }
        printed_by("losetup", &["--detach", self.path()]);
    }
}

fn printed_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_file_system_is_seen_where_it_is_mounted() {
    let disk = Disk::new();
    let point = disk.at("point");
    std::fs::create_dir(&point).unwrap();
    printed_by("mkfs.ext4", &["-q", disk.path()]);
    assert_eq!(disk.used_by(), "");
    printed_by("mount", &[disk.path(), &point]);
    assert_eq!(disk.used_by(), format!("mounted at {point}"));
    printed_by("umount", &[&point]);
    assert_eq!(disk.used_by(), "");
}

/// As the kubelet does it: the device node bind-mounted twice, and a loop device over the second. The loop device stays when
/// both are gone from the table of mounts.
#[test]
#[ignore = "needs root and loop devices"]
fn a_raw_block_volume_is_seen_by_its_node_and_by_its_loop_device() {
    let disk = Disk::new();
    let (published, mapped) = (disk.at("published"), disk.at("mapped"));
    for (source, target) in [(disk.path(), &published), (&published, &mapped)] {
        File::create(target).unwrap();
        printed_by("mount", &["--bind", source, target]);
    }
    let node_at = |point: &str| format!("its device node is bind-mounted at {point}");
    assert_eq!(disk.used_by(), format!("{}, {}", node_at(&published), node_at(&mapped)));
    let over = printed_by("losetup", &["--find", "--show", &mapped]);
    let name = over.strip_prefix("/dev/").unwrap();
    let shown = format!("loop device {name} shows it");
    assert!(disk.used_by().ends_with(&shown), "{}", disk.used_by());
    printed_by("umount", &["--lazy", &published, &mapped]);
    assert_eq!(disk.used_by(), shown);
    printed_by("losetup", &["--detach", &over]);
    // The kernel detaches it once nobody has it open, and others of this machine look at loop devices, too.
    let end = Instant::now() + Duration::from_secs(60);
    while disk.used_by() == shown && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(disk.used_by(), "");
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_node_that_somebody_made_elsewhere_is_seen() {
    let disk = Disk::new();
    let (folder, target) = (disk.at("nodes"), disk.at("target"));
    std::fs::create_dir(&folder).unwrap();
    File::create(&target).unwrap();
    printed_by("mount", &["-t", "tmpfs", "tmpfs", &folder]);
    let node = format!("{folder}/node");
    printed_by("cp", &["--archive", disk.path(), &node]);
    printed_by("mount", &["--bind", &node, &target]);
    assert_eq!(disk.used_by(), format!("its device node is bind-mounted at {target}"));
    printed_by("umount", &[&target]);
    printed_by("umount", &[&folder]);
    assert_eq!(disk.used_by(), "");
}

#[test]
#[ignore = "needs root and loop devices"]
fn swap_space_and_an_exclusive_opener_are_seen() {
    use std::os::unix::fs::OpenOptionsExt;
    let disk = Disk::new();
    printed_by("mkswap", &[disk.path()]);
    printed_by("swapon", &[disk.path()]);
    let used_by = disk.used_by();
    printed_by("swapoff", &[disk.path()]);
    assert_eq!(used_by, "swap space");
    let exclusive = rustix::fs::OFlags::EXCL.bits().try_into().unwrap();
    let mut options = std::fs::OpenOptions::new();
    let opened = options.read(true).custom_flags(exclusive).open(&disk.device).unwrap();
    assert_eq!(disk.used_by(), "a program has it open exclusively");
    drop(opened);
    assert_eq!(disk.used_by(), "");
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_unused() {
    let refused = require_unused("v", Path::new("/dev/no-such-device")).unwrap_err();
    assert_eq!(refused.to_string(), "cannot see who uses namespace v");
}
