//! The decision who uses a block device.

use std::fmt;
use std::path::PathBuf;

use crate::filesystem::{DeviceNumber, Mount};

/// What was read about a block device.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The block device and its partitions.
    pub(super) devices: Vec<BlockDevice>,
    /// All mounts, in any mount namespace that was looked at.
    pub(super) mounts: Vec<SeenMount>,
    /// All attached loop devices.
    pub(super) loops: Vec<SeenLoop>,
    /// Devices that are swapped to.
    pub(super) swaps: Vec<DeviceNumber>,
    /// Whether the kernel refuses to let anybody have it for himself.
    pub(super) is_claimed: bool,
}

/// A block device, or a partition of one.
#[derive(Clone, Debug)]
pub(super) struct BlockDevice {
    /// What the kernel calls it.
    pub(super) name: String,
    pub(super) number: DeviceNumber,
    /// The devices that are made of it, such as `dm-0`.
    pub(super) holders: Vec<String>,
}

/// A mount, and what is at its mount point.
#[derive(Clone, Debug)]
pub(super) struct SeenMount {
    pub(super) mount: Mount,
    /// The device whose node is at the mount point; none if it is no device node, or was not looked at.
    pub(super) node: Option<DeviceNumber>,
}

/// A loop device that is attached to a device.
#[derive(Clone, Debug)]
pub(super) struct SeenLoop {
    pub(super) name: String,
    /// What it shows.
    pub(super) shows: DeviceNumber,
}

/// Somebody who uses a block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum User {
    /// Its file system is mounted.
    Mounted(PathBuf),
    /// Its device node is bind-mounted: somebody can open it there.
    Published(PathBuf),
    /// Another device is made of it.
    Holder(String),
    /// A loop device shows it.
    Loop(String),
    /// It is swapped to.
    Swap,
    /// Somebody else has it for himself.
    Exclusive,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted(point) => write!(f, "mounted at {}", point.display()),
            Self::Published(point) => write!(f, "its device node is bind-mounted at {}", point.display()),
            Self::Holder(device) => write!(f, "{device} is made of it"),
            Self::Loop(device) => write!(f, "loop device {device} shows it"),
            Self::Swap => write!(f, "swap space"),
            Self::Exclusive => write!(f, "a program has it open exclusively"),
        }
    }
}

/// All that use the device, or one of its partitions.
pub(super) fn users(seen: &Seen) -> Vec<User> {
    let mut users: Vec<User> = Vec::new();
    for device in &seen.devices {
        let mounts = seen.mounts.iter();
        users.extend(mounts.filter_map(|mount| mount_user(device, mount)));
        users.extend(device.holders.iter().cloned().map(User::Holder));
        let loops = seen.loops.iter().filter(|found| found.shows == device.number);
        users.extend(loops.map(|found| User::Loop(found.name.clone())));
        users.extend(seen.swaps.contains(&device.number).then_some(User::Swap));
    }
    // The same mount may be seen in two mount namespaces.
    let mut distinct: Vec<User> = Vec::new();
    for user in users {
        if !distinct.contains(&user) {
            distinct.push(user);
        }
    }
    if distinct.is_empty() && seen.is_claimed {
        distinct.push(User::Exclusive);
    }
    distinct
}

/// A node of /dev counts by its name too: another mount may hide it from who looks, and not from who opened it before.
fn mount_user(device: &BlockDevice, seen: &SeenMount) -> Option<User> {
    let mount = &seen.mount;
    if mount.device == device.number {
        return Some(User::Mounted(mount.point.clone()));
    }
    let is_named = mount.fs_type == "devtmpfs" && mount.root.strip_prefix("/").is_ok_and(|path| path == &*device.name);
    (seen.node == Some(device.number) || is_named).then(|| User::Published(mount.point.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::MountTable;
    use rstest::rstest;

    const PMEM: DeviceNumber = DeviceNumber { major: 259, minor: 3 };
    const PARTITION: DeviceNumber = DeviceNumber { major: 259, minor: 4 };
    const OTHER: DeviceNumber = DeviceNumber { major: 259, minor: 5 };
    /// The host's root, and another device of each kind.
    const HOST: &str = "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
                        23 22 0:5 / /dev rw - devtmpfs udev rw\n\
                        24 22 259:5 / /mnt rw - ext4 /dev/pmem1 rw\n\
                        25 22 0:5 /pmem10 /pods/other rw - devtmpfs udev rw\n";

    fn device(name: &str, number: DeviceNumber) -> BlockDevice {
        BlockDevice {
            name: name.into(),
            number,
            holders: Vec::new(),
        }
    }

    /// A host on which nobody uses the device; `mounts` come after those of the host.
    fn host(mounts: &str) -> Seen {
        let table = MountTable::parse(format!("{HOST}{mounts}").as_bytes()).unwrap();
        let mounts = table.iter().cloned().map(|mount| SeenMount { mount, node: None });
        Seen {
            devices: vec![device("pmem0", PMEM), device("pmem0p1", PARTITION)],
            mounts: mounts.collect(),
            loops: vec![SeenLoop {
                name: "loop0".into(),
                shows: OTHER,
            }],
            swaps: vec![OTHER],
            is_claimed: false,
        }
    }

    fn looped(shows: DeviceNumber) -> Seen {
        let mut seen = host("");
        seen.loops[0].shows = shows;
        seen
    }

    fn held(partition: usize) -> Seen {
        let mut seen = host("");
        seen.devices[partition].holders.push("dm-7".into());
        seen
    }

    #[rstest]
    #[case::nobody(host(""), &[])]
    #[case::file_system(host("30 22 259:3 / /a rw - ext4 /dev/pmem0 rw\n"), &["mounted at /a"])]
    #[case::partition(host("30 22 259:4 /sub /a rw - xfs /dev/pmem0p1 rw\n"), &["mounted at /a"])]
    #[case::hidden_node(host("30 22 0:5 /pmem0 /a rw - devtmpfs udev rw\n"), &["its device node is bind-mounted at /a"])]
    #[case::twice(
        host("30 22 259:3 / /a rw - ext4 /dev/pmem0 rw\n99 22 259:3 / /a rw - ext4 /dev/pmem0 rw\n"),
        &["mounted at /a"]
    )]
    #[case::loop_device(looped(PMEM), &["loop device loop0 shows it"])]
    #[case::loop_device_over_a_partition(looped(PARTITION), &["loop device loop0 shows it"])]
    #[case::holder(held(0), &["dm-7 is made of it"])]
    #[case::holder_of_a_partition(held(1), &["dm-7 is made of it"])]
    #[case::swap(Seen { swaps: vec![PARTITION], ..host("") }, &["swap space"])]
    #[case::exclusive(Seen { is_claimed: true, ..host("") }, &["a program has it open exclusively"])]
    #[case::claimed_by_who_is_named_already(Seen { is_claimed: true, ..held(0) }, &["dm-7 is made of it"])]
    fn each_user_is_named(#[case] seen: Seen, #[case] expected: &[&str]) {
        let named: Vec<String> = users(&seen).iter().map(ToString::to_string).collect();
        assert_eq!(named, expected);
    }

    /// The kubelet's folder: a node on devtmpfs that is gone from /dev, and one that somebody made on a tmpfs.
    #[rstest]
    #[case("0:5 /pmem7//deleted /pods/a rw - devtmpfs udev rw")]
    #[case("0:44 /some-name /pods/a rw - tmpfs tmpfs rw")]
    fn a_node_is_known_by_its_number(#[case] line: &str) {
        let mut seen = host(&format!("30 22 {line}\n"));
        assert_eq!(users(&seen), []);
        seen.mounts.last_mut().unwrap().node = Some(PMEM);
        assert_eq!(users(&seen), [User::Published("/pods/a".into())]);
    }
}
