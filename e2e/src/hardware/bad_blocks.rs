//! Bad blocks, in free space and under an erasure, on a real kernel whose module cannot clear them.

use anyhow::{Context, Result, ensure};
use crds::{QuarantinedBytes, RegionStatus};
use placement::{Bytes, Extent};

use super::driver::{create, delete};
use super::group::{Group, case};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "bad_blocks",
        machine: || Machine::light("bad-blocks"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(those_in_free_space_are_never_in_a_volume),
            case!(the_quarantine_outlives_a_power_cut_until_it_is_released),
            case!(what_is_released_while_it_is_bad_is_covered_again),
            case!(those_under_an_erasure_end_it_in_quarantine),
        ],
    }
}

const fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

async fn region(vm: &TestVm) -> Result<RegionStatus> {
    Ok(inventory(vm).await?.on(0)?.clone())
}

fn places(region: &RegionStatus) -> Vec<Extent> {
    region.quarantine.iter().map(|bytes| bytes.extent).collect()
}

/// Pages in the middle of units, at the start of the region and next to another.
async fn poison_free_space(vm: &TestVm) -> Result<()> {
    for page in [0, 40 * 256 + 3, 41 * 256, 300 * 256 + 511] {
        vm.poison("region0", Bytes::kib(4 * page)).await?;
    }
    Ok(())
}

/// The units of 2 MiB that they are in, and the rest.
const BAD: [Extent; 3] = [mib(0, 2), mib(40, 2), mib(300, 2)];
const CLEAN: [Extent; 3] = [mib(2, 38), mib(42, 258), mib(302, 210)];

/// Runs what the message of each namespace in quarantine says, without the part that no emulated module can do.
async fn release(vm: &TestVm) -> Result<()> {
    for QuarantinedBytes { message, .. } in region(vm).await?.quarantine {
        let mut commands = message
            .split('`')
            .filter(|part| part.starts_with("ndctl destroy-namespace "));
        let command = commands.next().with_context(|| format!("no command in {message:?}"))?;
        vm.shell(command).await?;
    }
    Ok(())
}

async fn those_in_free_space_are_never_in_a_volume(vm: &mut TestVm) -> Result<()> {
    poison_free_space(vm).await?;
    let seen = region(vm).await?;
    ensure!(seen.free == CLEAN && places(&seen) == BAD, "{seen:?}");
    ensure!(
        seen.quarantine.iter().all(|bad| bad.message.contains("in free space")),
        "{seen:?}"
    );

    // Each alone would go to the lowest hole of a kernel that knows of no bad blocks.
    for (name, size, footprint) in [
        ("a", "28Mi", mib(2, 30)),
        ("b", "100Mi", mib(42, 102)),
        ("c", "200Mi", mib(302, 204)),
    ] {
        let status = create(vm, &format!("--numa 0 {name} {size}")).await?;
        ensure!(status.footprint == Some(footprint), "{status:?}");
    }
    let seen = region(vm).await?;
    ensure!(places(&seen) == BAD, "{seen:?}");
    ensure!(
        seen.quarantine[1].message.contains("8 KiB of bad blocks, the first at"),
        "{seen:?}"
    );
    ensure!(seen.foreign.count == 0, "{seen:?}");
    for name in ["a", "b", "c"] {
        delete(vm, name).await?;
    }
    let seen = region(vm).await?;
    ensure!(seen.free == CLEAN && places(&seen) == BAD, "{seen:?}");
    forget(vm).await
}

async fn the_quarantine_outlives_a_power_cut_until_it_is_released(vm: &mut TestVm) -> Result<()> {
    poison_free_space(vm).await?;
    create(vm, "--numa 0 a 28Mi").await?;
    delete(vm, "a").await?;
    vm.cut_power().await?;
    let known = vm.shell("cat /sys/bus/nd/devices/region0/badblocks").await?;
    ensure!(known.trim().is_empty(), "the emulated module remembers {known}");

    let seen = region(vm).await?;
    ensure!(seen.free == CLEAN && places(&seen) == BAD, "{seen:?}");
    let says = "lists no bad blocks in it now";
    ensure!(seen.quarantine.iter().all(|bad| bad.message.contains(says)), "{seen:?}");
    let status = create(vm, "--numa 0 b 60Mi").await?;
    ensure!(status.footprint == Some(mib(42, 62)), "{status:?}");
    delete(vm, "b").await?;

    release(vm).await?;
    let seen = region(vm).await?;
    ensure!(seen.free == [mib(0, 512)] && seen.quarantine.is_empty(), "{seen:?}");
    let status = create(vm, "--numa 0 c 60Mi").await?;
    ensure!(status.footprint == Some(mib(0, 62)), "{status:?}");
    delete(vm, "c").await
}

async fn what_is_released_while_it_is_bad_is_covered_again(vm: &mut TestVm) -> Result<()> {
    vm.poison("region0", Bytes::mib(40)).await?;
    for _ in 0..2 {
        let status = create(vm, "--numa 0 a 60Mi").await?;
        ensure!(status.footprint == Some(mib(42, 62)), "{status:?}");
        delete(vm, "a").await?;
        let seen = region(vm).await?;
        ensure!(
            seen.quarantine[0].message.contains("`ndctl clear-errors namespace"),
            "{seen:?}"
        );
        release(vm).await?;
        let seen = region(vm).await?;
        ensure!(places(&seen) == [mib(40, 2)], "{seen:?}");
        ensure!(seen.free == [mib(0, 40), mib(42, 470)], "{seen:?}");
    }
    forget(vm).await
}

async fn those_under_an_erasure_end_it_in_quarantine(vm: &mut TestVm) -> Result<()> {
    let made = create(vm, "--numa 0 a 60Mi").await?;
    ensure!(made.footprint == Some(mib(0, 62)), "{made:?}");
    vm.poison("region0", Bytes::mib(33)).await?;
    delete(vm, "a").await?;
    let seen = region(vm).await?;
    ensure!(places(&seen) == [mib(0, 62)] && seen.free == [mib(62, 450)], "{seen:?}");
    ensure!(seen.erasing.is_empty() && seen.kept.is_empty(), "{seen:?}");

    // The next volume of the name is another one.
    let made = create(vm, "--numa 0 a 60Mi").await?;
    ensure!(made.footprint == Some(mib(62, 62)), "{made:?}");
    delete(vm, "a").await?;

    // Released while its bad block is known, no more than that stays out of use.
    release(vm).await?;
    let made = create(vm, "--numa 0 a 28Mi").await?;
    ensure!(made.footprint == Some(mib(0, 30)), "{made:?}");
    let seen = region(vm).await?;
    ensure!(
        places(&seen) == [mib(32, 2)] && seen.free == [mib(30, 2), mib(34, 478)],
        "{seen:?}"
    );
    delete(vm, "a").await?;
    forget(vm).await
}

/// Has the module forget its bad blocks, and gives back what is in quarantine.
async fn forget(vm: &mut TestVm) -> Result<()> {
    vm.cut_power().await?;
    release(vm).await
}
