//! What an erasure left is not read again, and what somebody else had meanwhile is: on a real kernel, with its label areas.

use anyhow::{Context, Result, ensure};

use super::driver::delete;
use super::group::{Group, case};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "known_zero",
        machine: || Machine::light("known-zero"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(what_an_erasure_left_is_not_read_again),
            case!(what_somebody_else_had_is_zeroed),
            case!(what_somebody_else_had_is_zeroed_whatever_the_indexes_say),
            case!(without_the_file_nothing_is_known),
        ],
    }
}

const FILE: &str = "/var/lib/kubelet/plugins/csi.daxfit.dev/known-zeros";

/// Makes a volume, whose every byte has to be zero. Returns whether they were known to be, and so not read.
async fn is_known(vm: &TestVm, name: &str, size: &str) -> Result<bool> {
    let made = vm.run(&format!("{VOLUME} create --numa 0 {name} {size}")).await?;
    ensure!(made.status == 0, "{}", made.stderr);
    let device = device(vm, name).await?;
    let readable = vm.shell(&format!("tr -d '\\0' <{device} | wc -c")).await?;
    ensure!(readable.trim() == "0", "{readable} old bytes can be read in {name}");
    Ok(made.stderr.contains("is known to be zero"))
}

async fn device(vm: &TestVm, name: &str) -> Result<String> {
    let seen = inventory(vm).await?;
    seen.named(name)?.block.clone().context("no block device")
}

/// A volume is made, filled, deleted and erased.
async fn live_and_die(vm: &TestVm, name: &str, size: &str) -> Result<()> {
    is_known(vm, name, size).await?;
    fill(vm, &device(vm, name).await?).await?;
    delete(vm, name).await
}

/// It ends with "no space left", when every byte is written.
async fn fill(vm: &TestVm, device: &str) -> Result<()> {
    let write = format!("tr '\\0' '\\125' </dev/zero | dd of={device} bs=1M iflag=fullblock status=none");
    vm.run(&format!("{write}; sync")).await.map(drop)
}

async fn what_an_erasure_left_is_not_read_again(vm: &mut TestVm) -> Result<()> {
    live_and_die(vm, "v", "60Mi").await?;
    // In two pieces. Each process is another run of the driver.
    for name in ["w", "x"] {
        ensure!(is_known(vm, name, "28Mi").await?, "{name} was read");
        fill(vm, &device(vm, name).await?).await?;
    }
    // Behind them nobody erased.
    ensure!(!is_known(vm, "y", "28Mi").await?, "y was not read");
    for name in ["w", "x", "y"] {
        delete(vm, name).await?;
    }
    // It takes 2 MiB more than it has, and they took 30 MiB each.
    ensure!(is_known(vm, "z", "80Mi").await?, "z was read");
    delete(vm, "z").await
}

/// Somebody makes a namespace, fills it, and destroys it.
async fn used_by_others(vm: &TestVm) -> Result<()> {
    let make = "ndctl create-namespace --region region0 --mode raw --size 64M --name theirs >/dev/null
        device=/dev/$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"theirs\").blockdev')
        dd if=/dev/urandom of=$device bs=1M count=64 oflag=direct status=none
        theirs=$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"theirs\").dev')
        ndctl destroy-namespace --force $theirs >/dev/null";
    vm.shell(make).await.map(drop)
}

async fn what_somebody_else_had_is_zeroed(vm: &mut TestVm) -> Result<()> {
    live_and_die(vm, "v", "60Mi").await?;
    used_by_others(vm).await?;
    ensure!(!is_known(vm, "w", "60Mi").await?, "it was not read");
    delete(vm, "w").await
}

/// Six indexes later, the one in force is as it was.
async fn what_somebody_else_had_is_zeroed_whatever_the_indexes_say(vm: &mut TestVm) -> Result<()> {
    for times in 2..=6 {
        live_and_die(vm, "v", "60Mi").await?;
        for _ in 0..times {
            used_by_others(vm).await?;
        }
        ensure!(!is_known(vm, "w", "60Mi").await?, "it was not read after {times}");
        delete(vm, "w").await?;
    }
    Ok(())
}

async fn without_the_file_nothing_is_known(vm: &mut TestVm) -> Result<()> {
    live_and_die(vm, "v", "60Mi").await?;
    vm.shell(&format!("rm {FILE}")).await?;
    ensure!(!is_known(vm, "w", "60Mi").await?, "it was not read");
    delete(vm, "w").await?;
    vm.shell(&format!("truncate --size -1 {FILE}")).await?;
    ensure!(!is_known(vm, "x", "60Mi").await?, "it was not read with a damaged file");
    delete(vm, "x").await
}
