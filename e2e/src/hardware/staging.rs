//! Mounting a volume that was mounted before, whatever its owner and others on the node did to it.

use anyhow::{Result, ensure};

use super::driver::{create, delete, fails};
use super::group::{Group, case};
use super::marks::device;
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "staging",
        machine: || Machine::light("staging"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(a_full_file_system_is_mounted_again),
            case!(a_file_system_that_became_read_only_is_mounted_again),
            case!(a_mount_that_a_container_keeps_is_in_nobodys_way),
            case!(what_is_in_the_way_is_named),
            case!(a_damaged_file_system_is_told_and_can_be_repaired),
        ],
    }
}

const FOLDER: &str = "/tmp/vol";

async fn stage(vm: &TestVm, fs: &str) -> Result<()> {
    vm.shell(&format!("mkdir -p {FOLDER} && {VOLUME} stage vol {FOLDER} --fs {fs}"))
        .await
        .map(drop)
}

/// Without space for data or for inodes. The owner can only make room once it is mounted.
async fn a_full_file_system_is_mounted_again(vm: &mut TestVm) -> Result<()> {
    let inodes = "n=0; while : 2>/dev/null >$n; do n=$((n + 1)); done; ! : 2>/dev/null >more";
    let data = "cat /dev/zero 2>/dev/null >data; i=0; while echo x 2>/dev/null >$i; do i=$((i + 1)); done; ! : >more$i || true";
    for (fs, size, fill) in [("ext4", "14Mi", inodes), ("ext4", "14Mi", data), ("xfs", "310Mi", data)] {
        create(vm, &format!("vol {size}")).await?;
        stage(vm, fs).await?;
        vm.shell(&format!("(cd {FOLDER} && {fill}) && umount {FOLDER}")).await?;
        stage(vm, fs).await?;
        vm.shell(&format!(
            "grep ' {FOLDER} ' /proc/mounts | grep dax=always && rm -rf {FOLDER}/* && : >{FOLDER}/room && umount {FOLDER}"
        ))
        .await?;
        delete(vm, "vol").await?;
    }
    Ok(())
}

/// As `errors=remount-ro` leaves it. The kubelet stages again what is staged.
async fn a_file_system_that_became_read_only_is_mounted_again(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    stage(vm, "ext4").await?;
    vm.shell(&format!(
        "mount -o remount,abort {FOLDER} || true; ! : 2>/dev/null >{FOLDER}/f"
    ))
    .await?;
    stage(vm, "ext4").await?;
    vm.shell(&format!("umount {FOLDER}")).await?;
    stage(vm, "ext4").await?;
    vm.shell(&format!(": >{FOLDER}/f && umount {FOLDER}")).await?;
    delete(vm, "vol").await
}

/// A container with the host's directories has copies of all mounts, which outlive them.
async fn a_mount_that_a_container_keeps_is_in_nobodys_way(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    stage(vm, "ext4").await?;
    let keep = "unshare --mount --propagation private sleep infinity >/dev/null 2>&1 & echo $! >/tmp/keeper; sleep 1";
    vm.shell(&format!("echo kept >{FOLDER}/file; {keep}; umount {FOLDER}"))
        .await?;
    stage(vm, "ext4").await?;
    let kept = vm.shell(&format!("cat {FOLDER}/file && umount {FOLDER}")).await?;
    ensure!(kept.trim() == "kept", "{kept:?}");
    let told = fails(vm, &format!("{VOLUME} delete --destroy-data vol")).await?;
    ensure!(told.contains("mounted") || told.contains("in use"), "{told}");
    vm.shell("kill $(cat /tmp/keeper)").await?;
    delete(vm, "vol").await
}

async fn what_is_in_the_way_is_named(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    let device = device(vm, "vol").await?;
    vm.shell(&format!(
        "modprobe dm_mod && echo 0 $(blockdev --getsz {device}) linear {device} 0 | dmsetup create --noudevsync over"
    ))
    .await?;
    let told = fails(
        vm,
        &format!("mkdir -p {FOLDER} && {VOLUME} stage vol {FOLDER} --fs ext4"),
    )
    .await?;
    ensure!(told.contains("for itself") && told.contains("dmsetup ls"), "{told}");
    vm.shell("dmsetup remove --noudevsync over").await?;
    stage(vm, "ext4").await?;
    vm.shell(&format!("umount {FOLDER}")).await?;
    delete(vm, "vol").await
}

/// Damage that no program repairs by itself: a file of an ext4 without a list of its blocks, an xfs that was never finished. The volume is
/// left as it is until a person has carried out what docs/troubleshooting.md says; then its other files are there.
async fn a_damaged_file_system_is_told_and_can_be_repaired(vm: &mut TestVm) -> Result<()> {
    let ext4 =
        "debugfs -w -R 'set_inode_field broken block[0] 0' $DEVICE && debugfs -w -R 'set_super_value state 0' $DEVICE";
    let xfs = "xfs_db -x -c 'sb 0' -c 'write -d inprogress 1' $DEVICE";
    let cases = [
        (
            "ext4",
            "28Mi",
            ext4,
            "e2fsck failed (exit status: 4)",
            "e2fsck -fy $DEVICE",
        ),
        ("xfs", "310Mi", xfs, "Structure needs cleaning", "xfs_repair $DEVICE"),
    ];
    for (fs, size, damage, told, repair) in cases {
        create(vm, &format!("vol {size}")).await?;
        stage(vm, fs).await?;
        vm.shell(&format!(
            "echo kept >{FOLDER}/file && echo lost >{FOLDER}/broken && umount {FOLDER}"
        ))
        .await?;
        let device = device(vm, "vol").await?;
        let on_device = |command: &str| format!("DEVICE={device}; {command}");
        vm.shell(&on_device(damage)).await?;
        let refused = fails(vm, &format!("{VOLUME} stage vol {FOLDER} --fs {fs}")).await?;
        ensure!(refused.contains(told), "{refused}");
        // It has 1 for errors that were corrected.
        vm.shell(&on_device(&format!("{repair} || [ $? = 1 ]"))).await?;
        stage(vm, fs).await?;
        let kept = vm.shell(&format!("cat {FOLDER}/file && umount {FOLDER}")).await?;
        ensure!(kept.trim() == "kept", "{kept:?}");
        delete(vm, "vol").await?;
    }
    Ok(())
}
