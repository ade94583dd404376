//! The machine itself: what every other test takes for granted.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::group::{Group, case};
use crate::harness::programs::NODE_DRIVER;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "smoke",
        machine: || Machine::light("smoke"),
        programs: &[NODE_DRIVER],
        cases: vec![
            case!(each_numa_node_has_a_region),
            case!(regions_are_free_to_the_last_byte),
            case!(a_namespace_outlives_a_power_cut),
            case!(dax_is_in_effect_after_a_dax_mount),
            case!(failures_and_output_come_back),
            case!(programs_built_here_run_in_the_guest),
        ],
    }
}

/// One region in `ndctl list --regions --verbose`.
#[derive(Debug, Deserialize)]
struct Listed {
    size: u64,
    available_size: u64,
    numa_node: u32,
    #[serde(rename = "type")]
    kind: String,
}

async fn regions(vm: &TestVm) -> Result<Vec<Listed>> {
    let listed = vm.shell("ndctl list --regions --verbose").await?;
    serde_json::from_str(&listed).with_context(|| format!("not a list of regions: {listed}"))
}

async fn each_numa_node_has_a_region(vm: &mut TestVm) -> Result<()> {
    let regions = regions(vm).await?;
    let mut seen: Vec<_> = regions
        .iter()
        .map(|region| (region.numa_node, region.size, region.kind.as_str()))
        .collect();
    seen.sort_unstable();
    ensure!(seen == [(0, 512 << 20, "pmem"), (1, 512 << 20, "pmem")], "{regions:?}");
    Ok(())
}

async fn regions_are_free_to_the_last_byte(vm: &mut TestVm) -> Result<()> {
    let regions = regions(vm).await?;
    ensure!(
        regions.iter().all(|region| region.available_size == region.size),
        "{regions:?}"
    );
    Ok(())
}

async fn a_namespace_outlives_a_power_cut(vm: &mut TestVm) -> Result<()> {
    vm.shell("ndctl create-namespace --mode fsdax --size 64M --name kept")
        .await?;
    vm.cut_power().await?;
    let kept = vm
        .shell("ndctl list --namespaces | jq --raw-output '.[] | .name + \" \" + .mode'")
        .await?;
    ensure!(kept == "kept fsdax\n", "after the power cut: {kept:?}");
    vm.shell("ndctl destroy-namespace --force all").await?;
    Ok(())
}

async fn dax_is_in_effect_after_a_dax_mount(vm: &mut TestVm) -> Result<()> {
    let seen = vm
        .shell(
            "set -e
            ndctl create-namespace --mode fsdax --size 64M >/dev/null
            device=/dev/$(ndctl list --namespaces | jq --raw-output '.[].blockdev')
            mkfs.ext4 -q -b 4096 $device
            mkdir -p /tmp/dax
            mount -o dax=always $device /tmp/dax
            findmnt --noheadings --output OPTIONS /tmp/dax
            umount /tmp/dax
            ndctl destroy-namespace --force all",
        )
        .await?;
    ensure!(seen.contains("dax=always"), "mounted with {seen}");
    Ok(())
}

async fn failures_and_output_come_back(vm: &mut TestVm) -> Result<()> {
    let output = vm
        .run("head -c 300000 /dev/zero | tr '\\0' x; echo oh >&2; exit 7")
        .await?;
    ensure!(
        output.status == 7 && output.stderr == "oh\n",
        "{} {:?}",
        output.status,
        output.stderr
    );
    ensure!(
        output.stdout.len() == 300_000,
        "{} bytes of output",
        output.stdout.len()
    );
    Ok(())
}

async fn programs_built_here_run_in_the_guest(vm: &mut TestVm) -> Result<()> {
    vm.shell("/mnt/files/daxfit-node-driver --help").await.map(drop)
}
