//! What tenants write into their volumes is nothing to the host: with the rules for udev that the driver installs, nothing of it
//! is probed or activated. What an administrator has in a namespace of his own is, as always.

use anyhow::{Result, ensure};

use super::group::{Group, case};
use crate::harness::programs::NODE_DRIVER;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "host_rules",
        machine: || Machine::light("host-rules"),
        programs: &[NODE_DRIVER],
        cases: vec![case!(the_host_leaves_volumes_alone)],
    }
}

/// Makes a namespace, in which the block device is called as the namespace in `/run/node/`.
const PREPARE: &str = r#"set -e
    modprobe -a dm_mod md_mod raid1 bcache loop
    mkdir -p /run/node
    make() { # NAME REGION MODE UUID
        ndctl create-namespace --region "$2" --mode "$3" --size 64M --name "$1" --uuid "$4" >/dev/null
        find_node "$1"
    }
    find_node() {
        local block=$(ndctl list --namespaces | jq --raw-output ".[] | select(.name == \"$1\").blockdev")
        ln -sfn /dev/$block /run/node/$1
    }
    random() { cat /proc/sys/kernel/random/uuid; }
    name_of() { ndctl list --namespaces --idle | jq --raw-output ".[] | select(.name == \"$1\").dev"; }
"#;

/// The first five are as the driver makes them: by a UUID of version 5, or, made before that was so, by a name with its proof.
/// Each has a signature of another kind, and each signature is in a namespace of an administrator as well.
const WRITE: &str = r"
    make pvc-lvm region0 fsdax d56b0f85-bbb1-51bc-a10b-1d92a9d2b6a3
    make pvc-old.i-0123456789ab region0 fsdax $(random)
    make pvc-md region0 sector d56b0f85-bbb1-51bc-a10b-1d92a9d2b6a4
    make pvc-label.u region0 raw d56b0f85-bbb1-51bc-a10b-1d92a9d2b6a5
    make pvc-bcache region0 fsdax d56b0f85-bbb1-51bc-a10b-1d92a9d2b6a6
    make host-lvm region1 fsdax $(random)
    make host-md region1 sector $(random)
    make host-label.u region1 raw $(random)
    make host-bcache region1 fsdax $(random)
    group() { # DEVICE NAME
        pvcreate --quiet $1
        vgcreate --quiet $2 $1
        lvcreate --quiet --zero n --wipesignatures n --activate n --extents 100%FREE --name data $2
    }
    {
        group $(realpath /run/node/pvc-lvm) tenant
        group $(realpath /run/node/pvc-old.i-0123456789ab) earlier
        group $(realpath /run/node/host-lvm) host
        for of in pvc host; do
            mkfs.ext4 -q -L $of-label /run/node/$of-label.u
            make-bcache --bdev $(realpath /run/node/$of-bcache)
            mdadm --create /dev/md/$of --run --level=1 --raid-devices=1 --force --metadata=1.2 \
                $(realpath /run/node/$of-md)
            mdadm --stop /dev/md/$of
        done
    } >/run/written 2>&1 || { cat /run/written >&2; exit 1; }
";

/// Starts udev as at boot: every device is announced to it.
const COLDPLUG: &str = "set -e
    udevadm control --ping 2>/dev/null || /lib/systemd/systemd-udevd --daemon
    udevadm trigger --action=add --settle";

/// All that the host made of what it found: one line each, sorted.
const ACTIVE: &str = r#"
    udevadm settle
    sleep 1
    {
        dmsetup ls | awk '/-data/ { print "lvm", $1 }'
        for array in /sys/block/md*; do
            [[ -e $array ]] && for part in $array/slaves/*; do echo md $(ndctl list --namespaces | jq --raw-output \
                ".[] | select(.blockdev == \"${part##*/}\").name"); done
        done
        for label in /dev/disk/by-label/*-label; do [[ -e $label ]] && echo label ${label##*/}; done
        for cache in /sys/block/bcache*; do
            [[ -e $cache ]] && for part in $cache/slaves/*; do echo bcache $(ndctl list --namespaces | jq --raw-output \
                ".[] | select(.blockdev == \"${part##*/}\").name"); done
        done
        :
    } | sort"#;

/// Undoes what the host made of it, also what LVM keeps in mind of it.
const DEACTIVATE: &str = "set -e
    vgchange --quiet --activate n >/dev/null 2>&1
    mdadm --stop --scan 2>/dev/null
    for cache in /sys/block/bcache*; do [[ -e $cache ]] && echo 1 >$cache/bcache/stop; done
    sleep 1
    udevadm settle
    rm -rf /run/lvm/pvs_online /run/lvm/vgs_online /run/lvm/pvs_lookup";

/// Takes each namespace away and brings it back, as the driver does when it changes a mark.
const AGAIN: &str = "set -e
    names=$(ndctl list --namespaces | jq --raw-output '.[].dev')
    for name in $names; do ndctl disable-namespace $name; done >/dev/null 2>&1
    for name in $names; do ndctl enable-namespace $name; done >/dev/null 2>&1";

/// udev looks for changed rules at most every three seconds.
const INSTALL: &str = "mkdir -p /etc/udev/rules.d
    /mnt/files/daxfit-node-driver udev-rules >/etc/udev/rules.d/59-daxfit.rules
    sleep 4";

const OF_TENANTS: [&str; 5] = [
    "bcache pvc-bcache",
    "label pvc-label",
    "lvm earlier-data",
    "lvm tenant-data",
    "md pvc-md",
];
const OF_THE_HOST: [&str; 4] = ["bcache host-bcache", "label host-label", "lvm host-data", "md host-md"];

async fn the_host_leaves_volumes_alone(vm: &mut TestVm) -> Result<()> {
    vm.shell(&format!("{PREPARE}{WRITE}")).await?;
    vm.shell(COLDPLUG).await?;
    let without = vm.shell(ACTIVE).await?;
    ensure!(
        without == sorted(&[&OF_TENANTS[..], &OF_THE_HOST[..]].concat()),
        "without the rules, the host activates {without:?}: this test shows nothing"
    );
    vm.shell(DEACTIVATE).await?;

    vm.shell(INSTALL).await?;
    vm.shell(AGAIN).await?;
    let with = vm.shell(ACTIVE).await?;
    ensure!(
        with == sorted(&OF_THE_HOST),
        "with the rules, the host activates {with:?}"
    );
    let device = vm
        .shell(&format!("{PREPARE} find_node pvc-lvm; realpath /run/node/pvc-lvm"))
        .await?;
    the_loop_device_of_the_kubelet_is_left_alone(vm, device.trim()).await?;
    lvm_by_hand_needs_a_filter(vm).await?;
    vm.shell(DEACTIVATE).await?;
    vm.shell("udevadm control --exit; ndctl destroy-namespace --force all")
        .await
        .map(drop)
}

fn sorted(lines: &[&str]) -> String {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    format!("{}\n", lines.join("\n"))
}

/// It shows the tenant's bytes a second time. One over a file elsewhere is probed as always.
async fn the_loop_device_of_the_kubelet_is_left_alone(vm: &TestVm, device: &str) -> Result<()> {
    let folder = "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices/vol/dev";
    for (point, is_probed) in [(format!("{folder}/pod"), false), ("/run/elsewhere".to_owned(), true)] {
        let look = format!(
            "set -e
            mkdir -p {folder}
            touch {point}
            mount --bind {device} {point}
            looped=$(losetup --find --show --read-only {point})
            udevadm settle
            udevadm info --query=property --name=$looped | grep ID_FS_TYPE || :
            vgchange --quiet --activate n tenant >/dev/null 2>&1 || :
            losetup --detach $looped
            umount {point}"
        );
        let probed = vm.shell(&look).await?;
        let expected = if is_probed { "ID_FS_TYPE=LVM2_member\n" } else { "" };
        ensure!(
            probed == expected,
            "of the loop device over {point}, udev says {probed:?}"
        );
    }
    Ok(())
}

/// What rules for udev do not reach, and what docs/install.md says to do about it.
async fn lvm_by_hand_needs_a_filter(vm: &TestVm) -> Result<()> {
    let seen = "vgs --noheadings --options vg_name | sort | xargs";
    let all = vm.shell(seen).await?;
    ensure!(all == "earlier host tenant\n", "by hand, LVM sees {all:?}");
    let filter = r#"global_filter = [ "r,^/dev/pmem,", "r,^/dev/loop," ]"#;
    let set = format!("printf '%s\\n' 'devices {{' '{filter}' '}}' >>/etc/lvm/lvm.conf");
    vm.shell(&set).await?;
    let none = vm.shell(seen).await?;
    vm.shell("head --lines=-3 /etc/lvm/lvm.conf >/run/lvm.conf && cp /run/lvm.conf /etc/lvm/lvm.conf")
        .await?;
    ensure!(none == "\n", "with the filter, LVM sees {none:?}");
    Ok(())
}
