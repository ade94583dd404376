//! CXL memory devices: what identifies them, and labels on each device of a set.

use anyhow::{Context, Result, ensure};
use crds::{BusProvider, RegionState, RegionStatus};

use super::group::{Group, case};
use super::label_bytes;
use crate::harness::programs::NODE_DRIVER;
use crate::harness::test_vm::{Inventory, TestVm, inventory};
use crate::harness::vm::{CxlMemory, Machine};

pub(super) fn group() -> Group {
    Group {
        name: "cxl",
        machine: || Machine {
            cxl: devices(&[Some(0x1234), Some(0x5678)]),
            ..Machine::light("cxl")
        },
        programs: &[NODE_DRIVER],
        cases: vec![
            case!(a_label_counts_only_on_every_module_of_a_set),
            case!(sets_of_cxl_devices_are_told_apart),
        ],
    }
}

fn devices(serials: &[Option<u64>]) -> Vec<CxlMemory> {
    serials.iter().map(|serial| CxlMemory { serial: *serial }).collect()
}

/// Makes a region over all devices, and waits until libnvdimm shows it. They come up in any order, and only one of two orders can be
/// interleaved: whether a region is there tells which, since `cxl create-region` ends with 0 when it could not set a target. libnvdimm
/// brings the devices up beside that, and never enables a region of which one is not up yet (`nd_region_probe`: "is disabled, failing
/// probe").
async fn make_region(vm: &TestVm, ways: usize) -> Result<()> {
    let orders = match ways {
        1 => "'mem0'",
        _ => "'mem0 mem1' 'mem1 mem0'",
    };
    vm.shell(&format!(
        "modprobe -a cxl_acpi cxl_pci cxl_mem cxl_pmem cxl_port
        up() {{ ls -d /sys/bus/cxl/devices/endpoint* 2>/dev/null | wc -l; ndctl list --bus CXL --dimms | grep -c '\"dev\"'; }}
        for n in $(seq 600); do [ \"$(up | xargs)\" = '{ways} {ways}' ] && break; sleep 0.1; done
        for memory in {orders}; do
            cxl create-region -m -t pmem -d decoder0.0 -w {ways} -g 4096 $memory
            udevadm settle && ls -d /sys/bus/cxl/devices/region* && break
        done
        for n in $(seq 600); do ndctl list --bus CXL --regions | grep '\"dev\"' && exit 0; sleep 0.1; done
        {{ ndctl list --bus CXL --dimms --regions --idle; cxl list --verbose; dmesg | grep -i -e cxl -e nd_region; }} >&2
        exit 1"
    ))
    .await
    .map(drop)
}

/// Writes empty label areas on the devices of the CXL region.
const INITIALISE_LABELS: &str =
    "region=$(ndctl list --bus CXL --regions | jq --raw-output 'if type == \"array\" then .[] else . end | .dev')
    ndctl disable-region $region && ndctl init-labels -f --bus CXL all && ndctl enable-region $region";

fn cxl_region(seen: &Inventory) -> Result<&RegionStatus> {
    let found = seen.regions.iter().find(|region| region.bus == BusProvider::Cxl);
    found.with_context(|| format!("no CXL region in {seen:?}"))
}

async fn a_label_counts_only_on_every_module_of_a_set(vm: &mut TestVm) -> Result<()> {
    make_region(vm, 2).await?;
    vm.shell(INITIALISE_LABELS).await?;
    let before = [
        label_bytes::read(&vm.cxl_labels(0)?)?,
        label_bytes::read(&vm.cxl_labels(1)?)?,
    ];
    vm.shell("ndctl create-namespace --bus CXL --mode raw --size 64M --name set >/dev/null")
        .await?;
    let seen = inventory(vm).await?;
    let region = cxl_region(&seen)?;
    ensure!(region.ways == 2 && region.state == RegionState::Ready, "{region:?}");
    ensure!(seen.named("set")?.is_recorded, "{seen:?}");
    for (n, before) in before.iter().enumerate() {
        let area = vm.cxl_labels(n)?;
        let with = label_bytes::read(&area)?;
        label_bytes::write(&area, before)?;
        let seen = inventory(vm).await?;
        label_bytes::write(&area, &with)?;
        ensure!(
            !seen.named("set")?.is_recorded,
            "without the label on device {n}: {seen:?}"
        );
    }
    ensure!(inventory(vm).await?.named("set")?.is_recorded, "both labels are back");
    vm.shell("ndctl destroy-namespace --force --bus CXL all")
        .await
        .map(drop)
}

/// They come up at the same address, whichever they are.
async fn sets_of_cxl_devices_are_told_apart(vm: &mut TestVm) -> Result<()> {
    let mut ids = Vec::new();
    for serial in [Some(0x11), Some(0x22), None, Some(0x11)] {
        vm.rebuild(|machine| machine.cxl = devices(&[serial])).await?;
        make_region(vm, 1).await?;
        vm.shell(INITIALISE_LABELS).await?;
        let seen = inventory(vm).await?;
        let region = cxl_region(&seen)?;
        let (expected, volumes) = match serial {
            Some(_) => (RegionState::Ready, true),
            None => (RegionState::Degraded, false),
        };
        ensure!(
            region.state == expected && region.free.is_empty() != volumes,
            "{serial:?}: {region:?}"
        );
        ids.push(region.id.clone());
    }
    println!("  {ids:?}");
    ensure!(ids[0] == ids[3], "the same device has two ids: {ids:?}");
    ensure!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    Ok(())
}
