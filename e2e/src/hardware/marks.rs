//! The marks in labels, on a real kernel: what is in use is never formatted or erased, whatever the cluster says.

use anyhow::{Context, Result, ensure};

use super::driver::{create, delete, fails};
use super::group::{Group, case};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "marks",
        machine: || Machine::light("marks"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(a_label_tells_how_far_a_volume_has_come),
            case!(a_strangers_namespace_of_the_name_is_neither_adopted_nor_erased),
            case!(a_file_system_whose_start_is_zero_is_not_formatted_but_can_be_repaired),
            case!(a_volume_in_use_is_not_scrubbed_when_the_cluster_has_forgotten_it),
            case!(what_a_crash_within_a_mark_left_disabled_is_brought_up_by_the_next_start),
            case!(a_block_volume_is_in_use_from_its_staging_on),
            case!(a_volume_of_an_earlier_version_is_marked_and_erased_when_it_is_deleted),
        ],
    }
}

/// Names and modes of all namespaces, as ndctl shows them.
pub(super) async fn labels(vm: &TestVm) -> Result<String> {
    let list = "ndctl list --namespaces | jq --raw-output 'if type == \"array\" then .[] else . end | .name + \" \" + .mode' | sort";
    Ok(vm.shell(list).await?.lines().collect::<Vec<_>>().join(", "))
}

pub(super) async fn stage(vm: &TestVm, volume: &str) -> Result<()> {
    vm.shell(&format!(
        "mkdir -p /tmp/{volume} && {VOLUME} stage --fs ext4 {volume} /tmp/{volume}"
    ))
    .await
    .map(drop)
}

/// The block device of a volume.
pub(super) async fn device(vm: &TestVm, volume: &str) -> Result<String> {
    let seen = inventory(vm).await?;
    let block = seen.named(volume)?.block.clone();
    block.with_context(|| format!("{volume} has no block device: {seen:?}"))
}

async fn a_label_tells_how_far_a_volume_has_come(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    ensure!(labels(vm).await? == "vol.u fsdax", "{}", labels(vm).await?);
    stage(vm, "vol").await?;
    ensure!(labels(vm).await? == "vol fsdax", "{}", labels(vm).await?);
    vm.shell("grep /tmp/vol /proc/mounts | grep dax=always && echo kept >/tmp/vol/file && umount /tmp/vol")
        .await?;
    vm.cut_power().await?;
    ensure!(labels(vm).await? == "vol fsdax", "{}", labels(vm).await?);
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}

async fn a_strangers_namespace_of_the_name_is_neither_adopted_nor_erased(vm: &mut TestVm) -> Result<()> {
    let make = "ndctl create-namespace --region region0 --mode fsdax --size 32M --name vol >/dev/null
        device=/dev/$(ndctl list --namespaces | jq --raw-output '.[].blockdev')
        dd if=/dev/urandom of=$device bs=1M count=28 oflag=direct status=none; echo $device";
    let theirs = vm.shell(make).await?;
    let show = format!("sha256sum <{}", theirs.trim());
    let before = vm.shell(&show).await?;
    create(vm, "--numa 0 vol 20Mi").await?;
    ensure!(device(vm, "vol").await? == theirs.trim(), "the stranger's comes first");
    ensure!(labels(vm).await? == "vol fsdax, vol.u fsdax", "{}", labels(vm).await?);
    delete(vm, "vol").await?;
    let refused = fails(vm, &format!("{VOLUME} delete --destroy-data vol")).await?;
    ensure!(refused.contains("there is no namespace of volume vol"), "{refused}");
    ensure!(vm.shell(&show).await? == before, "somebody else's bytes changed");
    let seen = inventory(vm).await?;
    let foreign: u32 = seen.regions.iter().map(|region| region.foreign.count).sum();
    ensure!(foreign == 1, "{seen:?}");
    vm.shell("ndctl destroy-namespace --force all").await.map(drop)
}

/// As after an administrator cleared poison in the first block. A copy of the superblock brings everything back.
async fn a_file_system_whose_start_is_zero_is_not_formatted_but_can_be_repaired(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 200Mi").await?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol").await?;
    let device = device(vm, "vol").await?;
    vm.shell(&format!(
        "dd if=/dev/zero of={device} bs=4096 count=1 conv=fsync status=none"
    ))
    .await?;
    let refused = fails(vm, &format!("{VOLUME} stage --fs ext4 vol /tmp/vol")).await?;
    ensure!(refused.contains("never formatted again"), "{refused}");
    // e2fsck ends with 1 when it has mended everything.
    vm.shell(&format!("e2fsck -y -b 32768 -B 4096 {device} || [ $? = 1 ]"))
        .await?;
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}

/// As after etcd was restored from a snapshot: the object is that of a volume that was never made.
async fn a_volume_in_use_is_not_scrubbed_when_the_cluster_has_forgotten_it(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol").await?;
    let status = create(vm, "vol 28Mi").await?;
    ensure!(status.usable.is_some(), "{status:?}");
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}

/// A label is written while its namespace is disabled.
async fn what_a_crash_within_a_mark_left_disabled_is_brought_up_by_the_next_start(vm: &mut TestVm) -> Result<()> {
    for flag in ["", "--map-mem", "--sector"] {
        create(vm, &format!("{flag} vol 28Mi")).await?;
        vm.shell("ndctl disable-namespace all").await?;
        stage(vm, "vol").await?;
        vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol && ndctl disable-namespace all")
            .await?;
        stage(vm, "vol").await?;
        let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
        ensure!(kept == "kept\n", "{kept}");
        delete(vm, "vol").await?;
    }
    Ok(())
}

async fn a_block_volume_is_in_use_from_its_staging_on(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    vm.shell(&format!("{VOLUME} stage vol /tmp/unused")).await?;
    ensure!(labels(vm).await? == "vol fsdax", "{}", labels(vm).await?);
    delete(vm, "vol").await
}

async fn a_volume_of_an_earlier_version_is_marked_and_erased_when_it_is_deleted(vm: &mut TestVm) -> Result<()> {
    vm.shell("ndctl create-namespace --region region0 --mode fsdax --size 32M --name vol >/dev/null")
        .await?;
    let before = device(vm, "vol").await?;
    vm.shell(&format!(
        "mkfs.ext4 -q -b 4096 {before} && mkdir -p /tmp/vol && mount -o dax=always {before} /tmp/vol && echo kept >/tmp/vol/file"
    ))
    .await?;
    // While somebody uses it, it cannot be renamed.
    vm.shell(&format!("{VOLUME} create --earlier vol 20Mi")).await?;
    ensure!(labels(vm).await? == "vol fsdax", "{}", labels(vm).await?);
    vm.shell("umount /tmp/vol").await?;
    vm.shell(&format!("{VOLUME} create --earlier vol 20Mi")).await?;
    let marked = labels(vm).await?;
    ensure!(marked.starts_with("vol.i-") && marked.ends_with(" fsdax"), "{marked}");
    vm.cut_power().await?;
    ensure!(labels(vm).await? == marked, "{}", labels(vm).await?);
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}
