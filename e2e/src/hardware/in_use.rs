//! What somebody uses is not erased, also where the kernel would let it happen.

use anyhow::{Context, Result, ensure};

use super::driver::create;
use super::group::{Group, case};
use super::marks::device;
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "in_use",
        machine: || Machine::light("in-use"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(a_raw_block_volume_of_a_pod_is_not_erased),
            case!(what_another_device_is_made_of_is_not_erased),
            case!(a_mount_that_only_the_host_sees_counts),
            case!(two_processes_never_work_on_one_node),
        ],
    }
}

const DELETE: &str = "/mnt/files/standalone-volume delete --destroy-data vol";

/// Makes the volume, writes a word to it, and returns its block device.
async fn make(vm: &TestVm) -> Result<String> {
    create(vm, "vol 28Mi").await?;
    let device = device(vm, "vol").await?;
    write(vm, &device).await?;
    Ok(device)
}

async fn write(vm: &TestVm, device: &str) -> Result<()> {
    let write = format!("printf precious | dd of={device} conv=notrunc,fsync status=none");
    vm.shell(&write).await.map(drop)
}

async fn is_kept(vm: &TestVm, device: &str) -> Result<()> {
    let kept = vm.shell(&format!("head -c 8 {device}")).await;
    let kept = kept.context("the volume is gone although it is in use")?;
    ensure!(kept == "precious", "the volume has {kept:?}");
    Ok(())
}

/// Deleting has to fail, and to name who uses it.
async fn is_refused(vm: &TestVm, by: &str) -> Result<()> {
    let output = vm.run(DELETE).await?;
    let printed = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.status != 0, "a volume in use was erased");
    ensure!(printed.contains(by), "{by:?} is not in {printed}");
    Ok(())
}

/// As the kubelet maps a raw block volume: `NodePublishVolume` binds the device node to the first path, the kubelet binds that
/// to the second, and holds it by a loop device (`MapBlockVolume` in `pkg/volume/util/util.go`), which is no exclusive opener.
async fn a_raw_block_volume_of_a_pod_is_not_erased(vm: &mut TestVm) -> Result<()> {
    let device = make(vm).await?;
    let folder = "/var/lib/kubelet/plugins/kubernetes.io/csi/volumeDevices";
    let (published, mapped) = (format!("{folder}/publish/vol/pod"), format!("{folder}/vol/dev/pod"));
    let map = format!(
        "set -e
        modprobe loop
        mkdir -p {folder}/publish/vol {folder}/vol/dev
        touch {published} {mapped}
        mount --bind {device} {published}
        mount --bind {published} {mapped}
        losetup --find --show {mapped}"
    );
    let looped = vm.shell(&map).await?.trim().to_owned();
    is_refused(vm, &format!("bind-mounted at {published}")).await?;
    is_kept(vm, &device).await?;

    vm.shell(&format!("umount --lazy {published} {mapped}")).await?;
    let name = looped.strip_prefix("/dev/").context("not a device")?;
    is_refused(vm, &format!("loop device {name} shows it")).await?;
    is_kept(vm, &device).await?;

    vm.shell(&format!("losetup --detach {looped}")).await?;
    vm.shell(DELETE).await.map(drop)
}

async fn what_another_device_is_made_of_is_not_erased(vm: &mut TestVm) -> Result<()> {
    let device = make(vm).await?;
    vm.shell(&format!(
        "modprobe dm_mod && echo 0 $(blockdev --getsz {device}) linear {device} 0 | dmsetup create --noudevsync over"
    ))
    .await?;
    is_refused(vm, "dm-0 is made of it").await?;
    is_kept(vm, &device).await?;
    vm.shell("dmsetup remove --noudevsync over").await?;
    vm.shell(DELETE).await.map(drop)
}

/// A driver in a pod has a mount namespace of its own, and sees that of process 1 with `hostPID`.
async fn a_mount_that_only_the_host_sees_counts(vm: &mut TestVm) -> Result<()> {
    let device = make(vm).await?;
    let delete = format!(
        "touch /run/elsewhere
        unshare --mount --propagation private bash -c 'until [[ -e /run/go ]]; do sleep 0.1; done; exec {DELETE}' 2>&1 &
        sleep 1
        mount --bind {device} /run/elsewhere
        touch /run/go
        wait $! && echo erased
        rm /run/go"
    );
    let printed = vm.shell(&delete).await?;
    ensure!(
        printed.contains("bind-mounted at /run/elsewhere") && !printed.contains("erased"),
        "{printed}"
    );
    is_kept(vm, &device).await?;
    vm.shell("umount /run/elsewhere").await?;
    vm.shell(DELETE).await.map(drop)
}

/// The lock is that of the driver, in the folder of its socket; who has it is killed, and leaves it free.
async fn two_processes_never_work_on_one_node(vm: &mut TestVm) -> Result<()> {
    make(vm).await?;
    let lock = "/var/lib/kubelet/plugins/csi.daxfit.dev/devices.lock";
    let hold = format!(
        "flock {lock} sleep 600 >/dev/null 2>&1 &
        until ! flock --nonblock {lock} true; do sleep 0.1; done
        echo $!"
    );
    let holder = vm.shell(&hold).await?.trim().to_owned();
    is_refused(
        vm,
        "another process works on the persistent memory of this node: process ",
    )
    .await?;
    vm.shell(&format!(
        "pkill -KILL -P {holder}; kill -KILL {holder}; until flock --nonblock {lock} true; do sleep 0.1; done"
    ))
    .await?;
    vm.shell(DELETE).await.map(drop)
}
