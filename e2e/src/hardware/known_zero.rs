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
            case!(what_else_a_busy_node_announces_does_not_count),
            case!(free_bytes_are_swept_before_somebody_needs_them),
            case!(a_sweep_that_is_killed_anywhere_keeps_no_bytes),
            case!(an_erasure_goes_on_where_it_was_killed),
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

/// Each pod that starts has the kernel announce its network devices.
async fn what_else_a_busy_node_announces_does_not_count(vm: &mut TestVm) -> Result<()> {
    vm.shell(
        "(while echo change >/sys/class/net/lo/uevent; do sleep 0.005; done) >/dev/null 2>&1 & echo $! >/tmp/noise",
    )
    .await?;
    live_and_die(vm, "v", "60Mi").await?;
    let known = [is_known(vm, "w", "28Mi").await?, is_known(vm, "x", "28Mi").await?];
    vm.shell("kill $(cat /tmp/noise)").await?;
    ensure!(known == [true, true], "they were read: {known:?}");
    for name in ["w", "x"] {
        delete(vm, name).await?;
    }
    Ok(())
}

/// What the driver does in the background. Returns what it says.
async fn sweep(vm: &TestVm) -> Result<String> {
    let swept = vm.run(&format!("{VOLUME} sweep")).await?;
    ensure!(swept.status == 0, "{}", swept.stderr);
    ensure!(swept.stdout.contains(": 0"), "bytes are left: {}", swept.stdout);
    Ok(swept.stderr)
}

/// Everything that is free is zero, and known to be, but for what somebody else has in the middle of it.
async fn free_bytes_are_swept_before_somebody_needs_them(vm: &mut TestVm) -> Result<()> {
    used_by_others(vm).await?;
    vm.shell("ndctl create-namespace --region region0 --mode raw --size 16M --name stays >/dev/null")
        .await?;
    ensure!(sweep(vm).await?.contains("making free bytes zero"), "nothing was swept");
    ensure!(
        !sweep(vm).await?.contains("making free bytes zero"),
        "it was swept twice"
    );
    ensure!(is_known(vm, "v", "60Mi").await?, "v was read");
    delete(vm, "v").await?;
    vm.shell("ndctl destroy-namespace --force $(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"stays\").dev')")
        .await?;
    // What somebody else had is not known any more, and the rest of that hole with it.
    ensure!(!is_known(vm, "w", "80Mi").await?, "w was not read");
    delete(vm, "w").await
}

async fn a_sweep_that_is_killed_anywhere_keeps_no_bytes(vm: &mut TestVm) -> Result<()> {
    for effect in ["create", "open-raw", "zero:1", "zero:20", "flush:1", "destroy"] {
        used_by_others(vm).await?;
        let killed = vm.run(&format!("{VOLUME} sweep --kill-after {effect}")).await?;
        ensure!(killed.status != 0, "it was not killed after {effect}");
        is_known(vm, "v", "80Mi").await?;
        delete(vm, "v").await?;
        let left = inventory(vm).await?;
        ensure!(
            left.namespaces.is_empty(),
            "after {effect} there is {:?}",
            left.namespaces
        );
    }
    Ok(())
}

async fn an_erasure_goes_on_where_it_was_killed(vm: &mut TestVm) -> Result<()> {
    is_known(vm, "v", "60Mi").await?;
    fill(vm, &device(vm, "v").await?).await?;
    let killed = vm
        .run(&format!(
            "{VOLUME} delete v --destroy-data --rate 4Mi --kill-after note-erased"
        ))
        .await?;
    ensure!(killed.status != 0, "it was not killed");
    let erased = vm.run(&format!("{VOLUME} delete v --destroy-data")).await?;
    ensure!(erased.status == 0, "{}", erased.stderr);
    ensure!(
        erased.stderr.contains("what it wrote over is read"),
        "it began again: {}",
        erased.stderr
    );
    ensure!(is_known(vm, "w", "60Mi").await?, "w was read");
    delete(vm, "w").await
}
