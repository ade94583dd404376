//! The node driver's work on devices, on a real kernel: what it sees, what it makes, and that it erases every byte.

use anyhow::{Context, Result, ensure};
use crds::{PmemVolumeStatus, RegionState, RegionStatus};
use placement::{Bytes, Extent, MapLocation, Mode, NumaWish, PendingVolume, VolumeRequest};

use super::group::{Group, case};
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "driver",
        machine: || Machine::light("driver"),
        programs: &[NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(regions_are_ready_and_free),
            case!(a_volume_has_the_bytes_it_asked_for),
            case!(sector_and_map_mem_offer_what_placement_says),
            case!(a_claim_goes_to_its_numa_node),
            case!(an_older_volume_keeps_its_space),
            case!(an_administrator_makes_namespaces_beside_volumes),
            case!(an_earlier_tenants_bytes_are_gone_before_and_after),
            case!(a_namespace_of_somebody_else_is_left_alone),
            case!(what_is_mounted_is_not_erased),
            case!(a_volume_outlives_a_power_cut),
            case!(a_region_without_labels_is_named_and_left_alone),
            case!(a_read_only_region_gets_no_volume),
            case!(a_region_that_cannot_be_read_concerns_only_its_own_volumes),
        ],
    }
}

pub(super) async fn create(vm: &TestVm, arguments: &str) -> Result<PmemVolumeStatus> {
    let printed = vm.shell(&format!("{VOLUME} create {arguments}")).await?;
    serde_json::from_str(&printed).with_context(|| format!("not a status: {printed}"))
}

pub(super) async fn delete(vm: &TestVm, name: &str) -> Result<()> {
    vm.shell(&format!("{VOLUME} delete --destroy-data {name}"))
        .await
        .map(drop)
}

/// Runs a command that has to fail, and returns everything that it printed.
pub(super) async fn fails(vm: &TestVm, command: &str) -> Result<String> {
    let output = vm.run(command).await?;
    ensure!(output.status != 0, "{command} succeeded: {}", output.stdout);
    Ok(format!("{}{}", output.stdout, output.stderr))
}

async fn regions_are_ready_and_free(vm: &mut TestVm) -> Result<()> {
    let seen = inventory(vm).await?;
    ensure!(seen.backend == "libndctl" && seen.regions.len() == 2, "{seen:?}");
    for numa in [0, 1] {
        let region = seen.on(numa)?;
        ensure!(
            region.state == RegionState::Ready && region.message.is_empty(),
            "{region:?}"
        );
        ensure!(region.alignment.get() == Bytes::mib(2), "{region:?}");
        ensure!(region.free == [Extent::new(Bytes::ZERO, Bytes::mib(512))], "{region:?}");
    }
    ensure!(seen.regions[0].id != seen.regions[1].id, "{seen:?}");
    vm.cut_power().await?;
    let again = inventory(vm).await?;
    for numa in [0, 1] {
        ensure!(again.on(numa)?.id == seen.on(numa)?.id, "{seen:?} became {again:?}");
    }
    Ok(())
}

async fn a_volume_has_the_bytes_it_asked_for(vm: &mut TestVm) -> Result<()> {
    let status = create(vm, "--numa 0 vol-28 28Mi").await?;
    let usable = status.usable.context("no usable bytes")?;
    ensure!(usable >= Bytes::mib(28) && usable < Bytes::mib(30), "{status:?}");
    let footprint = Extent::new(Bytes::ZERO, Bytes::mib(30));
    ensure!(status.footprint == Some(footprint), "{status:?}");

    let seen = inventory(vm).await?;
    let namespace = seen.named("vol-28")?;
    ensure!(
        namespace.mode == "fsdax" && namespace.extent == footprint,
        "{namespace:?}"
    );
    ensure!(Some(&namespace.region) == status.region.as_ref(), "{namespace:?}");
    let device = namespace.block.as_ref().context("no block device")?;
    let size = vm.shell(&format!("blockdev --getsize64 {device}")).await?;
    ensure!(size.trim() == usable.get().to_string(), "the block device has {size}");
    let free = Extent::new(Bytes::mib(30), Bytes::mib(482));
    ensure!(seen.on(0)?.free == [free], "{seen:?}");

    delete(vm, "vol-28").await?;
    let after = inventory(vm).await?;
    ensure!(
        after.on(0)?.free == [Extent::new(Bytes::ZERO, Bytes::mib(512))],
        "{after:?}"
    );
    Ok(())
}

async fn sector_and_map_mem_offer_what_placement_says(vm: &mut TestVm) -> Result<()> {
    let cases = [
        ("--sector", Mode::Sector, "sector"),
        ("--map-mem", Mode::Fsdax(MapLocation::Mem), "fsdax"),
    ];
    for (flag, mode, name) in cases {
        let status = create(vm, &format!("{flag} vol 28Mi")).await?;
        let raw = status.footprint.context("no footprint")?.size;
        ensure!(status.usable == Some(mode.usable(raw)), "{flag}: {status:?}");
        let seen = inventory(vm).await?;
        let namespace = seen.named("vol")?;
        ensure!(
            namespace.mode == name && namespace.usable == status.usable,
            "{namespace:?}"
        );
        delete(vm, "vol").await?;
    }
    Ok(())
}

async fn a_claim_goes_to_its_numa_node(vm: &mut TestVm) -> Result<()> {
    let status = create(vm, "--numa 1 vol 100M").await?;
    let seen = inventory(vm).await?;
    ensure!(status.region.as_ref() == Some(&seen.on(1)?.id), "{status:?}");
    let refused = fails(vm, &format!("{VOLUME} create --numa 1 large 500Mi")).await?;
    ensure!(
        refused.contains("\"Refused\"") && refused.contains("asked 500 MiB"),
        "{refused}"
    );
    delete(vm, "vol").await
}

/// Fills the first 64 MiB of region 0 with what an earlier tenant may leave, or counts its bytes that are not zero, through a
/// namespace that shows all of them.
const SEE_RAW: &str = "set -e
    ndctl create-namespace --region region0 --mode raw --size 64M --name raw >/dev/null
    device=/dev/$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"raw\").blockdev')";
const FORGET_RAW: &str = "ndctl destroy-namespace --force $(ndctl list --namespaces | jq --raw-output '.[] | \
                          select(.name == \"raw\").dev') >/dev/null 2>&1";

pub(super) async fn dirty(vm: &TestVm) -> Result<()> {
    let fill = "tr '\\0' '\\252' </dev/zero | dd of=$device bs=1M count=64 iflag=fullblock oflag=direct status=none";
    vm.shell(&format!("{SEE_RAW}\n{fill}\n{FORGET_RAW}")).await.map(drop)
}

/// How many of the first bytes, and of the others, are not zero. `ndctl` itself zeroes the first 8 KiB of a namespace that
/// it makes.
pub(super) async fn bytes_left(vm: &TestVm, first: Bytes) -> Result<(u64, u64)> {
    let mib = first.divided_by(Bytes::mib(1));
    let count = format!(
        "head -c {mib}M <$device | tr -d '\\0' | wc -c; tail -c +$(({mib} * 1048576 + 1)) <$device | tr -d '\\0' | wc -c"
    );
    let printed = vm.shell(&format!("{SEE_RAW}\n{count}\n{FORGET_RAW}")).await?;
    let mut counts = printed.lines().map(str::parse);
    let mut next = || counts.next().transpose();
    let (first, others) = (next()?, next()?);
    first.zip(others).with_context(|| format!("not two numbers: {printed}"))
}

/// The younger one comes to its turn first. Without the older one, it would go where that one fits only just.
async fn an_older_volume_keeps_its_space(vm: &mut TestVm) -> Result<()> {
    let (older, younger) = (request(Bytes::mib(500)), request(Bytes::mib(300)));
    let regions = inventory(vm).await?.regions;
    let free = RegionStatus::all_to_placement(&regions);
    let pending = PendingVolume {
        request: older,
        region: None,
    };
    let expected = free.with_pending(&[pending]).place(&younger)?.region;
    ensure!(
        free.clone().place(&younger)?.region != expected,
        "this layout shows nothing: {free:?}"
    );

    let status = create(vm, "--older 500Mi younger 300Mi").await?;
    ensure!(
        status.region.as_ref() == Some(&expected),
        "{status:?}, but not in {expected:?}"
    );
    delete(vm, "older").await?;
    delete(vm, "younger").await
}

fn request(required: Bytes) -> VolumeRequest {
    VolumeRequest {
        required,
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    }
}

async fn an_earlier_tenants_bytes_are_gone_before_and_after(vm: &mut TestVm) -> Result<()> {
    let raw = Bytes::mib(64).get_u64();
    for (flag, size) in [("", "54Mi"), ("--sector", "54Mi")] {
        dirty(vm).await?;
        let (before, _) = bytes_left(vm, Bytes::mib(64)).await?;
        ensure!(before == raw - 8192, "only {before} bytes of an earlier tenant");
        let status = create(vm, &format!("--numa 0 {flag} vol {size}")).await?;
        let footprint = status.footprint.context("no footprint")?;
        ensure!(footprint.start.is_zero(), "{status:?}");
        let seen = inventory(vm).await?;
        let device = seen.named("vol")?.block.clone().context("no block device")?;
        let readable = vm.shell(&format!("tr -d '\\0' <{device} | wc -c")).await?;
        ensure!(readable.trim() == "0", "{readable} old bytes can be read");

        let write = format!("tr '\\0' '\\125' </dev/zero | dd of={device} bs=1M iflag=fullblock status=none");
        // It ends with "no space left", when every byte is written.
        vm.run(&format!("{write}; sync")).await?;
        delete(vm, "vol").await?;
        let (left, others) = bytes_left(vm, footprint.size).await?;
        ensure!(left == 0, "{left} bytes of the volume left");
        ensure!(
            others == raw - footprint.size.get_u64(),
            "only {others} bytes left behind the volume"
        );
    }
    Ok(())
}

async fn a_namespace_of_somebody_else_is_left_alone(vm: &mut TestVm) -> Result<()> {
    let make = "ndctl create-namespace --region region0 --mode raw --size 32M --name precious >/dev/null
        device=/dev/$(ndctl list --namespaces | jq --raw-output '.[].blockdev')
        dd if=/dev/urandom of=$device bs=1M count=32 oflag=direct status=none";
    vm.shell(make).await?;
    let show = "device=/dev/$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"precious\").blockdev')
        sha256sum <$device; ndctl list --namespaces | jq '.[] | select(.name == \"precious\")'";
    let before = vm.shell(show).await?;

    create(vm, "--numa 0 vol 20Mi").await?;
    let seen = inventory(vm).await?;
    let (vol, precious) = (seen.named("vol")?.extent, seen.named("precious")?.extent);
    ensure!(!vol.overlaps(precious), "{seen:?}");
    delete(vm, "vol").await?;
    ensure!(vm.shell(show).await? == before, "somebody else's namespace changed");
    vm.shell("ndctl destroy-namespace --force all").await.map(drop)
}

/// Volumes end at multiples of 2 MiB, and ndctl wants its own at 16 MiB, unless the region looks for such a place itself.
async fn an_administrator_makes_namespaces_beside_volumes(vm: &mut TestVm) -> Result<()> {
    create(vm, "--numa 0 vol 20Mi").await?;
    let make = "ndctl create-namespace --region region0 --size 64M";
    let refused = fails(vm, make).await?;
    ensure!(refused.contains("misaligned to 16M"), "{refused}");
    vm.shell(&format!("echo 16777216 >/sys/bus/nd/devices/region0/align && {make}"))
        .await?;
    let seen = inventory(vm).await?;
    let expected = [
        Extent::new(Bytes::mib(22), Bytes::mib(10)),
        Extent::new(Bytes::mib(96), Bytes::mib(416)),
    ];
    ensure!(seen.on(0)?.free == expected, "{seen:?}");
    let status = create(vm, "--numa 0 next 14Mi").await?;
    ensure!(
        status.footprint == Some(Extent::new(Bytes::mib(96), Bytes::mib(16))),
        "{status:?}"
    );
    delete(vm, "vol").await?;
    delete(vm, "next").await?;
    vm.shell("ndctl destroy-namespace --force --region region0 all")
        .await
        .map(drop)
}

async fn what_is_mounted_is_not_erased(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    let device = inventory(vm)
        .await?
        .named("vol")?
        .block
        .clone()
        .context("no block device")?;
    let mount = format!(
        "set -e
        mkfs.ext4 -q -b 4096 {device}
        mkdir -p /tmp/vol
        mount -o dax=always {device} /tmp/vol
        echo kept >/tmp/vol/file"
    );
    vm.shell(&mount).await?;
    let refused = fails(vm, &format!("{VOLUME} delete --destroy-data vol")).await?;
    ensure!(refused.contains("in use"), "{refused}");
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept == "kept\n", "{kept}");
    delete(vm, "vol").await
}

async fn a_volume_outlives_a_power_cut(vm: &mut TestVm) -> Result<()> {
    create(vm, "vol 28Mi").await?;
    let before = inventory(vm).await?;
    vm.cut_power().await?;
    let after = inventory(vm).await?;
    let (was, is) = (before.named("vol")?, after.named("vol")?);
    ensure!(
        (&was.region, was.extent) == (&is.region, is.extent),
        "{was:?} became {is:?}"
    );
    ensure!(
        (was.usable, &was.mode) == (is.usable, &is.mode),
        "{was:?} became {is:?}"
    );
    delete(vm, "vol").await
}

async fn a_region_without_labels_is_named_and_left_alone(vm: &mut TestVm) -> Result<()> {
    let restart = |step: &str| format!("ndctl disable-region region1 && {step} && ndctl enable-region region1");
    vm.shell(&restart("ndctl zero-labels nmem1")).await?;
    let show = "ndctl read-labels nmem1 2>/dev/null | tr -d '\\0' | wc -c; ndctl read-labels nmem1 2>/dev/null | wc -c";
    let before = vm.shell(show).await?;
    ensure!(before == "0\n2097152\n", "not a wiped label area: {before}");

    let seen = inventory(vm).await?;
    let region = seen.on(1)?;
    ensure!(
        region.state == RegionState::Unprepared && region.free.is_empty(),
        "{region:?}"
    );
    let advice = "`ndctl disable-region region1 && ndctl init-labels -f nmem1 && ndctl enable-region region1`";
    ensure!(region.message.contains(advice), "{region:?}");
    ensure!(seen.on(0)?.state == RegionState::Ready, "{seen:?}");
    let refused = fails(vm, &format!("{VOLUME} create --numa 1 vol 28Mi")).await?;
    ensure!(refused.contains("no ready region on NUMA 1"), "{refused}");
    ensure!(vm.shell(show).await? == before, "something was written to the region");

    vm.shell(&restart("ndctl init-labels -f nmem1")).await?;
    let seen = inventory(vm).await?;
    ensure!(
        seen.on(1)?.state == RegionState::Ready,
        "the advice did not help: {seen:?}"
    );
    Ok(())
}

async fn a_read_only_region_gets_no_volume(vm: &mut TestVm) -> Result<()> {
    let set = |value: u8| {
        format!(
            "echo {value} >/sys/bus/nd/devices/region1/read_only && ndctl disable-region region1 && ndctl enable-region \
             region1"
        )
    };
    vm.shell(&set(1)).await?;
    let seen = inventory(vm).await?;
    ensure!(seen.on(1)?.state == RegionState::ReadOnly, "{seen:?}");
    let refused = fails(vm, &format!("{VOLUME} create --numa 1 vol 28Mi")).await?;
    ensure!(refused.contains("no ready region on NUMA 1"), "{refused}");
    vm.shell(&set(0)).await?;
    let seen = inventory(vm).await?;
    ensure!(seen.on(1)?.state == RegionState::Ready, "{seen:?}");
    Ok(())
}

/// The kernel shows something of a region that nobody can read.
async fn a_region_that_cannot_be_read_concerns_only_its_own_volumes(vm: &mut TestVm) -> Result<()> {
    create(vm, "--numa 0 hidden 28Mi").await?;
    let before = inventory(vm).await?;
    let device = &before.on(0)?.device;
    let covered = format!("$(readlink -f /sys/bus/nd/devices/{device}/badblocks)");
    vm.shell(&format!(
        "echo unreadable >/run/unreadable && mount --bind /run/unreadable {covered}"
    ))
    .await?;

    let seen = inventory(vm).await?;
    let (away, other) = (seen.on(0)?, seen.on(1)?);
    ensure!(
        away.state == RegionState::NotSeen && away.id == before.on(0)?.id && away.free.is_empty(),
        "{seen:?}"
    );
    ensure!(away.message.contains("badblocks"), "{}", away.message);
    ensure!(other == before.on(1)?, "{seen:?}");
    create(vm, "--numa 1 vol 28Mi").await?;
    vm.shell(&format!(
        "mkdir -p /run/vol && {VOLUME} stage --fs ext4 vol /run/vol && umount /run/vol"
    ))
    .await?;
    delete(vm, "vol").await?;
    // Its label shows where it is, so that no second one is made.
    let refused = fails(vm, &format!("{VOLUME} create --numa 1 hidden 28Mi")).await?;
    ensure!(refused.contains("RegionAway"), "{refused}");

    vm.shell(&format!("umount {covered}")).await?;
    let after = inventory(vm).await?;
    ensure!(after.on(0)? == before.on(0)?, "{before:?} became {after:?}");
    delete(vm, "hidden").await
}
