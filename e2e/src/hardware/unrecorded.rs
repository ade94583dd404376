//! Marks that the kernel shows and the modules do not have: a power loss takes them back, so each is written again before
//! anything follows from it.

use anyhow::{Context, Result, ensure};

use super::driver::{create, delete};
use super::group::{Group, case};
use super::label_bytes;
use super::marks::stage;
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "unrecorded",
        machine: || Machine::light("unrecorded"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(a_mark_in_use_is_written_again_before_the_volume_is_handed_over),
            case!(a_mounted_volume_whose_mark_is_lost_asks_for_it_and_keeps_its_data),
            case!(a_mark_to_be_erased_is_written_again_before_the_object_goes),
        ],
    }
}

/// Runs the driver's work until its first effect, of which this is the name.
async fn first_effect(vm: &TestVm, command: &str) -> Result<String> {
    let killed = vm.run(&format!("{VOLUME} {command} --kill-after 1")).await?;
    ensure!(killed.status == 137, "{command} was not killed: {killed:?}");
    let mut lines = killed.stderr.lines();
    let effect = lines.find_map(|line| line.strip_prefix("effect 1 "));
    Ok(effect.context("no effect")?.to_owned())
}

async fn is_recorded(vm: &TestVm, name: &str) -> Result<bool> {
    let seen = inventory(vm).await?;
    let found = seen.named("vol")?;
    ensure!(found.name == name, "{found:?}");
    Ok(found.is_recorded)
}

/// The mark is written again, and what was written to the volume is there after a power cut. Then it is deleted.
async fn outlives_a_power_cut(vm: &mut TestVm) -> Result<()> {
    ensure!(is_recorded(vm, "vol").await?, "the mark is not written again");
    vm.cut_power().await?;
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}

/// The module gets its bytes of before the first mount, as if the label had never reached it.
async fn a_mark_in_use_is_written_again_before_the_volume_is_handed_over(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    create(vm, "--numa 0 vol 28Mi").await?;
    let before = label_bytes::read(&area)?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol").await?;
    label_bytes::write(&area, &before)?;
    ensure!(!is_recorded(vm, "vol").await?, "the module has the mark");

    let effect = first_effect(vm, "stage --fs ext4 vol /tmp/vol").await?;
    ensure!(effect == "mark-InUse", "{effect} comes first");
    outlives_a_power_cut(vm).await
}

/// As long as it is mounted, its namespace cannot be disabled, and so its label cannot be written: whoever reboots the node then loses it.
async fn a_mounted_volume_whose_mark_is_lost_asks_for_it_and_keeps_its_data(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    create(vm, "--numa 0 vol 28Mi").await?;
    let before = label_bytes::read(&area)?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && sync").await?;
    label_bytes::write(&area, &before)?;

    let asked = vm.run(&format!("{VOLUME} create --numa 0 vol 28Mi")).await?;
    let words = [
        "is not on its modules",
        "while it is in use: mounted at /tmp/vol",
        "do not reboot the node before",
    ];
    ensure!(
        asked.status != 0 && words.iter().all(|word| asked.stderr.contains(word)),
        "{asked:?}"
    );
    vm.shell("umount /tmp/vol").await?;
    create(vm, "--numa 0 vol 28Mi").await?;
    outlives_a_power_cut(vm).await
}

/// The program lets the object go before it erases: then opening the bytes would come first.
async fn a_mark_to_be_erased_is_written_again_before_the_object_goes(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    create(vm, "--numa 0 vol 28Mi").await?;
    let before = label_bytes::read(&area)?;
    let delete_again = "delete --destroy-data vol";
    let effect = first_effect(vm, delete_again).await?;
    ensure!(effect == "mark-Erasing", "{effect} comes first");
    label_bytes::write(&area, &before)?;
    ensure!(!is_recorded(vm, "vol.e").await?, "the module has the mark");

    let effect = first_effect(vm, delete_again).await?;
    ensure!(effect == "mark-Erasing", "{effect} comes first");
    ensure!(is_recorded(vm, "vol.e").await?, "the mark is not written again");
    vm.cut_power().await?;
    ensure!(is_recorded(vm, "vol.e").await?, "after a power cut");
    delete(vm, "vol").await
}
