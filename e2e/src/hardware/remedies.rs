//! What docs/troubleshooting.md says to do, carried out: the symptom as it is there, what the driver says of it, and that all is well
//! afterwards.

use anyhow::{Result, ensure};
use crds::RegionState;

use super::driver::{create, delete, fails};
use super::group::{Group, case};
use super::label_bytes;
use super::labels::{destroy, make, rename};
use super::marks::{device, labels, stage};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "remedies",
        machine,
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(what_a_newer_version_marked_is_left_alone_until_that_version_is_back),
            case!(of_two_namespaces_of_a_volume_the_one_that_is_left_is_used),
            case!(a_full_label_area_is_named_and_takes_a_volume_when_a_namespace_is_destroyed),
            case!(a_module_that_is_put_back_has_its_volume),
        ],
    }
}

fn machine() -> Machine {
    Machine::light("remedies")
}

/// Makes the volume on a NUMA node and writes a word to a file in it.
async fn use_on(vm: &TestVm, numa: u32, word: &str) -> Result<()> {
    create(vm, &format!("--numa {numa} vol 28Mi")).await?;
    stage(vm, "vol").await?;
    vm.shell(&format!("echo {word} >/tmp/vol/file && umount /tmp/vol"))
        .await
        .map(drop)
}

/// The volume is handed over, and the word is in it.
async fn has(vm: &TestVm, word: &str) -> Result<()> {
    stage(vm, "vol").await?;
    let found = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(found.trim() == word, "not {word}: {found}");
    Ok(())
}

/// Takes the second module out, and so the region on NUMA node 1.
async fn take_out(vm: &mut TestVm) -> Result<()> {
    vm.rebuild(|machine| machine.nvdimms.truncate(1)).await
}

async fn put_back(vm: &mut TestVm) -> Result<()> {
    vm.rebuild(|taken| taken.nvdimms = machine().nvdimms).await
}

/// The volume is neither used nor made nor erased, and its condition has a reason. Staging and making say these words.
async fn is_left_alone(vm: &TestVm, reason: &str, words: &str) -> Result<()> {
    let staged = fails(vm, &format!("{VOLUME} stage --fs ext4 vol /tmp/vol")).await?;
    ensure!(staged.contains(words), "{staged}");
    let made = fails(vm, &format!("{VOLUME} create vol 28Mi")).await?;
    ensure!(
        made.contains(words) && made.contains(&format!("\"{reason}\"")),
        "{made}"
    );
    fails(vm, &format!("{VOLUME} delete --destroy-data vol"))
        .await
        .map(drop)
}

/// The driver was exchanged for an earlier version, which does not know the mark. That the newer one is back is played by a mark that
/// both know.
async fn what_a_newer_version_marked_is_left_alone_until_that_version_is_back(vm: &mut TestVm) -> Result<()> {
    use_on(vm, 0, "kept").await?;
    vm.shell(&rename("vol", "vol.p2")).await?;
    let all_bytes = format!("sha256sum <{}", device(vm, "vol").await?);
    let before = vm.shell(&all_bytes).await?;

    is_left_alone(vm, "NewerMark", "was marked by a newer version of the driver").await?;
    ensure!(labels(vm).await? == "vol.p2 fsdax", "{}", labels(vm).await?);
    ensure!(vm.shell(&all_bytes).await? == before, "its bytes changed");

    vm.shell(&rename("vol.p2", "vol")).await?;
    has(vm, "kept").await?;
    delete(vm, "vol").await
}

/// What is in each namespace of the volume, and the kernel's name of it.
const LOOK_AT_EACH: &str = "set -e
    mkdir -p /tmp/look
    of_vol='.[] | select(.name == \"vol\") | .dev + \" \" + .blockdev'
    ndctl list -N | jq --raw-output \"$of_vol\" | sort | while read -r namespace block; do
        mount -o ro /dev/$block /tmp/look
        echo $namespace $(</tmp/look/file)
        umount /tmp/look
    done";

/// A module was away, its volume was made anew elsewhere and used, and the module is back.
async fn of_two_namespaces_of_a_volume_the_one_that_is_left_is_used(vm: &mut TestVm) -> Result<()> {
    use_on(vm, 1, "kept").await?;
    take_out(vm).await?;
    use_on(vm, 0, "other").await?;
    put_back(vm).await?;
    ensure!(labels(vm).await? == "vol fsdax, vol fsdax", "{}", labels(vm).await?);

    let told = "2 namespaces are marked as volume vol: look at each (`ndctl list -N`)";
    is_left_alone(vm, "AmbiguousNamespace", told).await?;
    let seen = vm.shell(LOOK_AT_EACH).await?;
    ensure!(seen == "namespace0.0 other\nnamespace1.0 kept\n", "{seen}");

    vm.shell("ndctl destroy-namespace --force namespace0.0").await?;
    has(vm, "kept").await?;
    vm.cut_power().await?;
    has(vm, "kept").await?;
    delete(vm, "vol").await
}

/// Has the kernel read the labels of the first module again.
const READ_LABELS: &str = "ndctl disable-region region0 && ndctl disable-dimm nmem0 && ndctl enable-dimm nmem0 && ndctl enable-region region0";

/// A volume is refused, and the message names the module. The one that took the last slot is used, which writes a label once more.
async fn a_full_label_area_is_named_and_takes_a_volume_when_a_namespace_is_destroyed(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    let empty = label_bytes::read(&area)?;
    label_bytes::write(&area, &label_bytes::with_slots(&empty, 3)?)?;
    vm.shell(READ_LABELS).await?;
    vm.shell(&make("region0", "needless", 16)).await?;
    use_on(vm, 0, "kept").await?;
    is_full(vm).await?;

    vm.shell(&destroy("needless")).await?;
    create(vm, "--numa 0 next 28Mi").await?;
    is_full(vm).await?;
    delete(vm, "next").await?;
    create(vm, "--numa 0 last 28Mi").await?;
    delete(vm, "last").await?;
    has(vm, "kept").await?;
    delete(vm, "vol").await?;
    label_bytes::write(&area, &empty)?;
    vm.shell(READ_LABELS).await.map(drop)
}

async fn is_full(vm: &TestVm) -> Result<()> {
    let seen = inventory(vm).await?;
    let region = seen.on(0)?;
    let full = "region0 can hold no more volumes: the label area of nmem0 is full";
    ensure!(
        region.state == RegionState::Degraded && region.message.contains(full),
        "{region:?}"
    );
    let refused = fails(vm, &format!("{VOLUME} create --numa 0 more 14Mi")).await?;
    let why = format!("no ready region on NUMA 0: {}", region.message);
    ensure!(refused.contains(&why), "{refused}");
    Ok(())
}

/// Meanwhile the volume is neither used nor erased, and others are made in the region that is left.
async fn a_module_that_is_put_back_has_its_volume(vm: &mut TestVm) -> Result<()> {
    use_on(vm, 1, "kept").await?;
    let before = inventory(vm).await?;
    take_out(vm).await?;
    let staged = fails(vm, &format!("{VOLUME} stage --fs ext4 vol /tmp/vol")).await?;
    ensure!(
        staged.contains("the kernel shows no namespace of volume vol on this node"),
        "{staged}"
    );
    let deleted = fails(vm, &format!("{VOLUME} delete --destroy-data vol")).await?;
    ensure!(deleted.contains("there is no namespace of volume vol"), "{deleted}");
    create(vm, "next 28Mi").await?;
    delete(vm, "next").await?;

    put_back(vm).await?;
    let after = inventory(vm).await?;
    ensure!(after.on(1)? == before.on(1)?, "{before:?} became {after:?}");
    has(vm, "kept").await?;
    delete(vm, "vol").await
}
