//! The real kernel and tools, on loop devices.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// A loop device over a sparse file, and a directory for mounts. Everything goes away with it.
struct Disk {
    dir: TempDir,
    device: PathBuf,
}

impl Disk {
    fn new(size: Bytes) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("disk.img");
        let disk = fs::File::create(&file).unwrap();
        disk.set_len(size.get_u64()).unwrap();
        let losetup = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(losetup.status.success(), "{losetup:?}");
        let device = PathBuf::from(String::from_utf8(losetup.stdout).unwrap().trim());
        Self { dir, device }
    }

    fn directory(&self, name: &str) -> PathBuf {
        let path = self.dir.path().canonicalize().unwrap().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    fn format(&self, fs: Filesystem) {
        let usable = Bytes::mib(400);
        Kernel.format(&self.device, fs, usable).unwrap();
        assert_eq!(self.content(), Content::Filesystem(fs));
    }

    fn content(&self) -> Content {
        Kernel.content(&self.device).unwrap()
    }

    fn number(&self) -> DeviceNumber {
        match Kernel.stat(&self.device).unwrap() {
            Some(PathTarget::BlockDevice(number)) => number,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let table = Kernel.mounts().unwrap();
        let base = self.dir.path().canonicalize().unwrap();
        let ours = table.iter().filter(|mount| mount.point.starts_with(&base));
        for mount in ours.collect::<Vec<_>>().into_iter().rev() {
            Kernel.unmount(&mount.point).unwrap();
        }
        let detached = Command::new("losetup").arg("-d").arg(&self.device).status();
        assert!(detached.unwrap().success());
    }
}

fn options(fs: Filesystem, flags: &[&str]) -> MountOptions {
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    MountOptions::plan(fs, &flags, false).unwrap()
}

fn is_read_only(directory: &Path) -> bool {
    match fs::write(directory.join("x"), "x") {
        Ok(()) => false,
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => true,
        Err(error) => panic!("{error}"),
    }
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_blank_device_becomes_a_file_system_that_pods_share() {
    for fs in [Filesystem::Ext4, Filesystem::Xfs] {
        let disk = Disk::new(Bytes::mib(400));
        assert_eq!(disk.content(), Content::Blank);
        disk.format(fs);
        Kernel.check(&disk.device, fs).unwrap();
        let (staging, pod) = (disk.directory("staging"), disk.directory("pod"));
        assert!(!Kernel.is_held(&disk.device).unwrap());
        let options = options(fs, &["noatime", "nosuid"]);
        Kernel.mount(&disk.device, &staging, fs, &options).unwrap();
        assert!(Kernel.is_held(&disk.device).unwrap());
        Kernel.bind(&staging, &pod, false).unwrap();
        fs::write(pod.join("file"), "words").unwrap();
        assert_eq!(fs::read(staging.join("file")).unwrap(), b"words");
        let found = Kernel.stat(&pod).unwrap();
        assert_eq!(found, Some(PathTarget::OnDevice(disk.number())));
        let usage = Kernel.usage(&pod).unwrap();
        assert!(usage.total > Bytes::mib(300) && usage.available <= usage.total);
        let direct = Kernel.maps_directly(&staging).unwrap();
        assert_eq!(direct, Some(false), "loop devices have no DAX");
        assert_eq!(Kernel.bad_bytes(disk.number()).unwrap(), Bytes::ZERO);
    }
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_read_only_bind_leaves_nothing_beside_the_target() {
    let disk = Disk::new(Bytes::mib(64));
    disk.format(Filesystem::Ext4);
    let (staging, pod) = (disk.directory("staging"), disk.directory("pod"));
    let flags = options(Filesystem::Ext4, &["nosuid", "noexec"]);
    let mounted = Kernel.mount(&disk.device, &staging, Filesystem::Ext4, &flags);
    mounted.unwrap();
    // What a crash in the middle leaves.
    let left = beside(&pod);
    fs::create_dir(&left).unwrap();
    bind(&staging, &left).unwrap();
    Kernel.bind(&staging, &pod, true).unwrap();
    assert!(is_read_only(&pod) && !is_read_only(&staging));
    let table = Kernel.mounts().unwrap();
    let mount = table.at(&pod).unwrap();
    assert!(has_option(&mount.options, "nosuid") && has_option(&mount.options, "noexec"));
    assert!(!left.exists() && table.at(&left).is_none());
}

#[test]
#[ignore = "needs root and loop devices"]
fn a_device_is_shown_at_a_file() {
    let disk = Disk::new(Bytes::mib(64));
    for read_only in [false, true] {
        let target = disk.directory("d").join("target");
        fs::write(&target, "").unwrap();
        Kernel.bind(&disk.device, &target, read_only).unwrap();
        let found = Kernel.stat(&target).unwrap();
        assert_eq!(found, Some(PathTarget::BlockDevice(disk.number())));
        let table = Kernel.mounts().unwrap();
        let mount = table.at(&target).unwrap();
        assert_eq!(mount.read_only(), read_only);
        assert_eq!(mount.root.file_name(), disk.device.file_name());
        Kernel.unmount(&target).unwrap();
        fs::remove_file(&target).unwrap();
        fs::remove_dir(target.parent().unwrap()).unwrap();
    }
}

#[test]
#[ignore = "needs root and loop devices"]
fn somebodys_data_is_seen() {
    let disk = Disk::new(Bytes::mib(64));
    let write = |bytes: &[u8]| {
        use std::os::unix::fs::FileExt;
        let device = OpenOptions::new().write(true).open(&disk.device).unwrap();
        device.write_all_at(bytes, 512).unwrap();
        device.sync_all().unwrap();
    };
    write(b"rows of a database");
    assert!(matches!(disk.content(), Content::Foreign(_)));
    write(&[0; 18]);
    let swap = Command::new("mkswap").arg(&disk.device).output().unwrap();
    assert!(swap.status.success());
    assert_eq!(disk.content(), Content::Foreign("swap".into()));
}

#[test]
#[ignore = "needs root and loop devices"]
fn an_ext4_with_a_broken_superblock_is_not_blank() {
    use std::os::unix::fs::FileExt;
    let disk = Disk::new(Bytes::mib(64));
    disk.format(Filesystem::Ext4);
    let device = OpenOptions::new().write(true).open(&disk.device).unwrap();
    // The number of inodes: the checksum of the superblock is wrong now, which newer versions of blkid look at.
    device.write_all_at(&[7; 4], 1024).unwrap();
    device.sync_all().unwrap();
    let content = disk.content();
    assert_ne!(content, Content::Blank);
    assert!(Kernel.check(&disk.device, Filesystem::Ext4).is_err());
    // The magic number.
    device.write_all_at(&[7; 2], 1024 + 56).unwrap();
    device.sync_all().unwrap();
    assert!(matches!(disk.content(), Content::Foreign(_)));
}

#[test]
#[ignore = "needs root and loop devices"]
fn an_ext4_that_leads_elsewhere_is_not_touched() {
    let (disk, other) = (Disk::new(Bytes::mib(64)), Disk::new(Bytes::mib(64)));
    let run = |tool: &str, arguments: &[&str], device: &Path| {
        let done = Command::new(tool).args(arguments).arg(device).output().unwrap();
        assert!(done.status.success(), "{tool}: {done:?}");
    };
    disk.format(Filesystem::Ext4);
    run("tune2fs", &["-E", "mount_opts=errors=panic"], &disk.device);
    assert!(matches!(disk.content(), Content::Foreign(_)));
    run("mke2fs", &["-q", "-b4096", "-Ojournal_dev"], &other.device);
    let journal = format!("device={}", other.device.display());
    run("mkfs.ext4", &["-q", "-F", "-b4096", "-J", &journal], &disk.device);
    assert!(matches!(disk.content(), Content::Foreign(_)));
}

#[test]
#[ignore = "needs root and loop devices"]
fn mkfs_killed_at_any_time_can_be_run_again_also_for_another_file_system() {
    for (fs, next) in [(Filesystem::Ext4, Filesystem::Xfs), (Filesystem::Xfs, Filesystem::Ext4)] {
        let mut interrupted = 0;
        for delay in (0..40).map(Duration::from_millis) {
            let disk = Disk::new(Bytes::mib(400));
            interrupted += u32::from(kill_mkfs(&disk, fs, delay));
            for again in [fs, next] {
                disk.format(again);
                assert_whole(&disk.device, again);
            }
        }
        assert!(interrupted > 0, "no run of mkfs was killed in time");
    }
}

/// Starts mkfs and kills it after a while. Whether it was still at work.
fn kill_mkfs(disk: &Disk, fs: Filesystem, delay: Duration) -> bool {
    let mut mkfs = Command::new(format!("mkfs.{fs}"))
        .args(mkfs_arguments(fs, Bytes::mib(400)))
        .arg(&disk.device)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(delay);
    mkfs.kill().unwrap();
    mkfs.wait().unwrap().code().is_none()
}

fn assert_whole(device: &Path, fs: Filesystem) {
    let (tool, arguments) = match fs {
        Filesystem::Ext4 => ("e2fsck", "-fn"),
        Filesystem::Xfs => ("xfs_repair", "-n"),
    };
    let checked = Command::new(tool).arg(arguments).arg(device).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
