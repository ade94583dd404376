//! A module that would not save its data when power fails.

use anyhow::{Result, ensure};
use crds::RegionState;

use super::driver::fails;
use super::group::{Group, case};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "unarmed",
        machine: || {
            let mut machine = Machine::light("unarmed");
            if let Some(second) = machine.nvdimms.get_mut(1) {
                second.unarmed = true;
            }
            machine
        },
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![case!(an_unarmed_module_is_never_ready)],
    }
}

/// The kernel makes its region read-only, and lets anybody make it writable again.
async fn an_unarmed_module_is_never_ready(vm: &mut TestVm) -> Result<()> {
    let make_writable = "echo 0 >/sys/bus/nd/devices/region1/read_only && ndctl disable-region region1 && ndctl enable-region \
                         region1";
    for read_only in ["1", "0"] {
        let is = vm.shell("cat /sys/bus/nd/devices/region1/read_only").await?;
        ensure!(is.trim() == read_only, "read_only is {is}");
        let seen = inventory(vm).await?;
        let region = seen.on(1)?;
        ensure!(
            region.state == RegionState::ReadOnly && region.free.is_empty(),
            "{region:?}"
        );
        let message = &region.message;
        ensure!(
            message.contains("nmem1 is not armed") && !message.contains("read_only"),
            "{message}"
        );
        ensure!(seen.on(0)?.state == RegionState::Ready, "{seen:?}");
        let refused = fails(vm, &format!("{VOLUME} create --numa 1 vol 28Mi")).await?;
        ensure!(refused.contains("no ready region on NUMA 1"), "{refused}");
        vm.shell(make_writable).await?;
    }
    Ok(())
}
