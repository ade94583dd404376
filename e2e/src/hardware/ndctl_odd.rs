//! `libs/ndctl` on regions that are not as they should be.

use anyhow::{Context, Result, ensure};
use placement::Bytes;
use serde_json::Value;

use super::group::{Group, case};
use super::ndctl::probe;
use crate::harness::programs::NDCTL_PROBE;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "ndctl-odd",
        machine: odd,
        programs: &[NDCTL_PROBE],
        cases: vec![
            case!(a_dimm_without_labels_is_told_apart),
            case!(legacy_memory_has_no_dimm_and_no_labels),
            case!(a_region_off_16_mib_still_takes_fsdax),
            case!(bad_blocks_are_listed),
            case!(disabled_and_read_only_regions_are_listed),
        ],
    }
}

/// A first DIMM without label area, whose size puts the second region 2 MiB off; and RAM that stands in for legacy PMEM.
fn odd() -> Machine {
    let mut machine = Machine::light("ndctl-odd");
    if let Some(first) = machine.nvdimms.first_mut() {
        first.data = Bytes::mib(514);
        first.labels = Bytes::ZERO;
    }
    machine.kernel_arguments.push("memmap=128M!512M".to_owned());
    machine
}

/// The one region for which `is` holds.
async fn region(vm: &TestVm, is: impl Fn(&Value) -> bool) -> Result<Value> {
    let seen = probe(vm, "list").await?;
    let mut regions = seen.iter().filter_map(|line| line.get("region"));
    let found = regions.find(|region| is(region)).cloned();
    found.with_context(|| format!("there is no such region in {seen:?}"))
}

fn device(region: &Value) -> Result<&str> {
    region["device"].as_str().context("a region has no device name")
}

async fn a_dimm_without_labels_is_told_apart(vm: &mut TestVm) -> Result<()> {
    let seen = region(vm, |region| region["size"] == Bytes::mib(514).get()).await?;
    ensure!(seen["labels"] == false && seen["available"] == 0, "{seen}");
    ensure!(seen["mappings"][0]["dimm"]["labels"] == "none", "{seen}");
    let refused = probe(vm, &format!("erase {}", device(&seen)?)).await;
    let reason = format!("{:#}", refused.err().context("a region without labels was divided")?);
    ensure!(reason.contains("has no idle namespace"), "{reason}");
    Ok(())
}

async fn legacy_memory_has_no_dimm_and_no_labels(vm: &mut TestVm) -> Result<()> {
    vm.shell("modprobe nd_e820 && udevadm settle").await?;
    let seen = region(vm, |region| region["bus"]["provider"] == "e820").await?;
    ensure!(
        seen["labels"] == false && seen["mappings"] == serde_json::json!([]),
        "{seen}"
    );
    ensure!(seen["cookie"].is_null() && seen["kind"] == "Pmem", "{seen}");
    ensure!(seen["size"] == Bytes::mib(128).get(), "{seen}");
    Ok(())
}

/// The kernel wants 2 MiB; it is the `ndctl` command that wants 16.
async fn a_region_off_16_mib_still_takes_fsdax(vm: &mut TestVm) -> Result<()> {
    let seen = region(vm, |region| region["labels"] == true).await?;
    let off = seen["start"].as_i64().map(|start| start % Bytes::mib(16).get());
    ensure!(off == Some(Bytes::mib(2).get()), "{seen}");
    probe(vm, &format!("erase {}", device(&seen)?)).await.map(drop)
}

async fn bad_blocks_are_listed(vm: &mut TestVm) -> Result<()> {
    vm.shell("echo '800 8' > /sys/block/pmem0/badblocks").await?;
    let seen = probe(vm, "list").await?;
    let namespace = seen.iter().filter_map(|line| line.get("namespace"));
    let bad = namespace
        .filter(|namespace| namespace["block_device"] == "pmem0")
        .map(|it| &it["bad_ranges"]);
    ensure!(bad.eq([&serde_json::json!(1)]), "{seen:?}");
    Ok(())
}

async fn disabled_and_read_only_regions_are_listed(vm: &mut TestVm) -> Result<()> {
    let labelled = region(vm, |region| region["labels"] == true).await?;
    let name = device(&labelled)?;
    vm.shell(&format!(
        "echo 1 > /sys/bus/nd/devices/{name}/read_only && ndctl disable-region {name}"
    ))
    .await?;
    let seen = region(vm, |region| region["device"] == name).await?;
    ensure!(seen["enabled"] == false && seen["read_only"] == true, "{seen}");
    ensure!(seen["bad_ranges"].is_null(), "{seen}");
    vm.shell(&format!(
        "ndctl enable-region {name} && echo 0 > /sys/bus/nd/devices/{name}/read_only"
    ))
    .await
    .map(drop)
}
