//! A volume whose mark was being written when the driver was killed: the next start of the driver brings it up.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::driver::{create, delete};
use super::group::{Group, case};
use super::marks::{device, stage};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{DRIVER, TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "left_disabled",
        machine: || Machine::light("left-disabled"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(a_volume_that_was_left_disabled_is_up_after_a_start_of_the_driver),
            case!(a_volume_whose_claim_was_left_is_up_after_a_start_of_the_driver),
            case!(killed_while_it_writes_a_mark_the_driver_brings_the_volume_up_at_its_next_start),
            case!(what_is_no_volume_that_was_handed_out_stays_disabled),
            case!(what_is_disabled_while_the_driver_runs_stays_so),
            case!(a_volume_of_before_there_were_marks_is_up_when_it_is_marked),
        ],
    }
}

/// What the driver needs to know of its API server, which answers nobody.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1", "certificate-authority": "/tmp/ca.pem"}}],
    "users": [{"name": "none", "user": {}}]}"#;
/// The driver first looks for what was left disabled, and then asks the API server.
const STARTED: &str =
    "timeout 30 bash -c 'until grep -q \"cannot read what this node reported\" /tmp/driver.log; do sleep 0.1; done'";
const STOP: &str = "kill $(</tmp/driver.pid); while [ -e /proc/$(</tmp/driver.pid) ]; do sleep 0.1; done";

async fn start(vm: &TestVm) -> Result<()> {
    let authority = rcgen::generate_simple_self_signed(Vec::new())?.cert.pem();
    let start = format!(
        "echo '{authority}' >/tmp/ca.pem
        echo '{KUBECONFIG}' >/tmp/kubeconfig
        KUBECONFIG=/tmp/kubeconfig setsid {DRIVER} --node-name node --no-registration >/tmp/driver.log 2>&1 &
        echo $! >/tmp/driver.pid
        {STARTED} || {{ cat /tmp/driver.log; exit 1; }}"
    );
    vm.shell(&start).await.map(drop)
}

async fn start_and_stop(vm: &TestVm) -> Result<()> {
    start(vm).await?;
    vm.shell(STOP).await.map(drop)
}

/// A volume with a file in it that nobody uses; returns the kernel's name of its namespace.
async fn used(vm: &TestVm, flags: &str) -> Result<String> {
    create(vm, &format!("{flags} vol 28Mi")).await?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol").await?;
    namespace(vm).await
}

/// The kernel's name of the only namespace.
async fn namespace(vm: &TestVm) -> Result<String> {
    let printed = vm.shell(&format!("{DRIVER} inventory")).await?;
    let seen: Value = serde_json::from_str(&printed)?;
    let [only] = &seen["namespaces"].as_array().context("no namespaces")?[..] else {
        bail!("not one namespace: {printed}");
    };
    Ok(only["device"].as_str().context("no name")?.to_owned())
}

async fn is_down(vm: &TestVm) -> Result<()> {
    let seen = inventory(vm).await?;
    let found = seen.named("vol")?;
    ensure!(found.block.is_none(), "it is up: {found:?}");
    Ok(())
}

async fn is_as_it_was_left(vm: &TestVm) -> Result<()> {
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    Ok(())
}

async fn a_volume_that_was_left_disabled_is_up_after_a_start_of_the_driver(vm: &mut TestVm) -> Result<()> {
    for flags in ["", "--sector", "--map-mem"] {
        let namespace = used(vm, flags).await?;
        vm.shell(&format!("ndctl disable-namespace {namespace}")).await?;
        is_down(vm).await?;
        start_and_stop(vm).await?;
        is_as_it_was_left(vm).await.with_context(|| format!("with {flags:?}"))?;
        delete(vm, "vol").await?;
    }
    Ok(())
}

/// Disabling stops the device that claims the namespace, and then takes its claim away: killed in between, the claim is left,
/// and the namespace cannot be enabled while it is there.
async fn a_volume_whose_claim_was_left_is_up_after_a_start_of_the_driver(vm: &mut TestVm) -> Result<()> {
    for flags in ["", "--sector"] {
        let namespace = used(vm, flags).await?;
        let unbind = format!(
            "set -e
            claim=$(</sys/bus/nd/devices/{namespace}/holder)
            echo $claim >/sys/bus/nd/devices/$claim/driver/unbind
            [ \"$(</sys/bus/nd/devices/{namespace}/holder)\" = $claim ]"
        );
        vm.shell(&unbind).await?;
        is_down(vm).await?;
        start_and_stop(vm).await?;
        is_as_it_was_left(vm).await.with_context(|| format!("with {flags:?}"))?;
        delete(vm, "vol").await?;
    }
    Ok(())
}

/// The driver reads the label back while the namespace is disabled: it is killed as soon as the block device is gone.
async fn killed_while_it_writes_a_mark_the_driver_brings_the_volume_up_at_its_next_start(
    vm: &mut TestVm,
) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    let device = device(vm, "vol").await?;
    let kill = format!(
        "{VOLUME} stage vol /tmp/unused >/tmp/out 2>&1 &
        until [ ! -e {device} ]; do :; done
        kill -KILL $!
        wait $! || echo $?"
    );
    let status = vm.shell(&kill).await?;
    ensure!(status.trim() == "137", "not killed: {status}");
    is_down(vm).await?;
    println!(
        "  killed when its namespace was {}",
        inventory(vm).await?.named("vol")?.name
    );
    start_and_stop(vm).await?;
    vm.shell(&format!("{VOLUME} stage vol /tmp/unused")).await?;
    delete(vm, "vol").await
}

async fn what_is_no_volume_that_was_handed_out_stays_disabled(vm: &mut TestVm) -> Result<()> {
    vm.shell("ndctl create-namespace --region region0 --mode fsdax --size 32M --name theirs >/dev/null")
        .await?;
    vm.shell(&format!("ndctl disable-namespace {}", namespace(vm).await?))
        .await?;
    create(vm, "--numa 1 vol 28Mi").await?;
    let erased = vm
        .run(&format!("{VOLUME} delete --destroy-data vol --kill-after 1"))
        .await?;
    ensure!(erased.status == 137, "{erased:?}");
    let enabled = "ndctl list --namespaces | jq --raw-output 'if type == \"array\" then .[] else . end | .name'";
    ensure!(vm.shell(enabled).await?.is_empty(), "something is enabled");
    start_and_stop(vm).await?;
    let up = vm.shell(enabled).await?;
    ensure!(up.is_empty(), "brought up: {up}");
    delete(vm, "vol").await?;
    vm.shell("ndctl destroy-namespace --force all").await.map(drop)
}

async fn what_is_disabled_while_the_driver_runs_stays_so(vm: &mut TestVm) -> Result<()> {
    let namespace = used(vm, "").await?;
    start(vm).await?;
    vm.shell(&format!("ndctl disable-namespace {namespace} && sleep 3"))
        .await?;
    is_down(vm).await?;
    vm.shell(STOP).await?;
    start_and_stop(vm).await?;
    is_as_it_was_left(vm).await?;
    delete(vm, "vol").await
}

/// It has no mark by which a start of the driver would know it, but its object says where it is.
async fn a_volume_of_before_there_were_marks_is_up_when_it_is_marked(vm: &mut TestVm) -> Result<()> {
    vm.shell("ndctl create-namespace --region region0 --mode fsdax --size 32M --name vol >/dev/null")
        .await?;
    let before = device(vm, "vol").await?;
    vm.shell(&format!(
        "mkfs.ext4 -q -b 4096 {before} && mkdir -p /tmp/vol && mount -o dax=always {before} /tmp/vol && echo kept >/tmp/vol/file \
         && umount /tmp/vol && ndctl disable-namespace {}",
        namespace(vm).await?
    ))
    .await?;
    vm.shell(&format!("{VOLUME} create --earlier vol 20Mi")).await?;
    is_as_it_was_left(vm).await?;
    delete(vm, "vol").await
}
