//! Labels on the modules against namespaces that the kernel shows: only where both agree, a namespace that is not shown does
//! not exist.

use anyhow::{Context, Result, ensure};
use crds::RegionState;
use placement::{Bytes, Extent};
use serde_json::Value;

use super::driver::{create, delete, fails};
use super::group::{Group, case};
use super::label_bytes;
use super::marks::stage;
use super::ndctl::probe;
use crate::harness::programs::{NDCTL_PROBE, NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::test_vm::{DRIVER, TestVm, VOLUME, inventory};
use crate::harness::vm::Machine;

pub(super) fn group() -> Group {
    Group {
        name: "labels",
        machine: || Machine::light("labels"),
        programs: &[NDCTL_PROBE, NODE_DRIVER, STANDALONE_VOLUME],
        cases: vec![
            case!(labels_are_those_that_were_written),
            case!(a_label_that_is_gone_is_not_recorded),
            case!(a_label_of_another_name_is_not_recorded),
            case!(a_stale_label_hides_what_is_free_until_the_kernel_reads_it),
            case!(a_damaged_label_hides_what_is_free),
            case!(a_region_that_is_disabled_releases_nothing),
            case!(labels_that_were_saved_bring_a_volume_back),
            case!(a_region_being_enabled_is_never_taken_for_empty),
        ],
    }
}

/// Makes a namespace and prints nothing.
pub(super) fn make(region: &str, name: &str, mib: u32) -> String {
    format!("ndctl create-namespace --region {region} --mode raw --size {mib}M --name {name} >/dev/null")
}

/// What destroys the namespace of a name.
pub(super) fn destroy(name: &str) -> String {
    format!("ndctl destroy-namespace --force {} >/dev/null 2>&1", device(name))
}

/// Gives the namespace of a name another one, as the driver does when it changes a mark.
pub(super) fn rename(name: &str, other: &str) -> String {
    format!(
        "set -e
        device={}
        ndctl disable-namespace $device >/dev/null
        echo {other} >/sys/bus/nd/devices/$device/alt_name
        ndctl enable-namespace $device >/dev/null",
        device(name)
    )
}

/// The kernel's name of the namespace, as a word of a shell.
fn device(name: &str) -> String {
    format!("$(ndctl list --namespaces | jq --raw-output '.[] | select(.name == \"{name}\").dev')")
}

/// Name, UUID, start and size of each label on the module of a region, and of each namespace that the kernel shows in it.
async fn both_sides(vm: &TestVm, region: &str) -> Result<(Vec<String>, Vec<String>)> {
    let seen = probe(vm, "list").await?;
    let found = seen
        .iter()
        .filter_map(|line| line.get("region"))
        .find(|it| it["device"] == region);
    let found = found.with_context(|| format!("no {region} in {seen:?}"))?;
    let mapping = &found["mappings"][0];
    let line = |it: &Value, origin: &Value| {
        let start = it["start"]
            .as_i64()
            .zip(origin.as_i64())
            .map(|(start, origin)| start - origin);
        format!("{} {} {start:?} {}", it["name"], it["uuid"], it["size"])
    };
    let used = mapping["dimm"]["labels"]["used"].as_array().context("no labels")?;
    let mut labels: Vec<String> = used.iter().map(|label| line(label, &mapping["start"])).collect();
    let namespaces = seen.iter().filter_map(|line| line.get("namespace"));
    let here = namespaces.filter(|it| it["region"] == region && it["size"] != 0);
    let mut shown: Vec<String> = here.map(|it| line(it, &found["start"])).collect();
    labels.sort();
    shown.sort();
    Ok((labels, shown))
}

async fn labels_are_those_that_were_written(vm: &mut TestVm) -> Result<()> {
    let initialise = |version: &str| {
        format!(
            "ndctl disable-region region1 && ndctl init-labels -f --label-version={version} nmem1 && ndctl enable-region region1"
        )
    };
    vm.shell(&initialise("1.2")).await?;
    for region in ["region0", "region1"] {
        for step in [
            make(region, "first", 16),
            make(region, "second", 32),
            make(region, "third", 48),
            rename("second", "second.renamed"),
            destroy("first"),
        ] {
            vm.shell(&step).await?;
            let (labels, shown) = both_sides(vm, region).await?;
            ensure!(
                labels == shown,
                "after {step}: {labels:?}, but the kernel shows {shown:?}"
            );
        }
        let (labels, _) = both_sides(vm, region).await?;
        ensure!(labels.len() == 2 && labels[0].contains("second.renamed"), "{labels:?}");
        vm.shell(&format!("ndctl destroy-namespace --force --region {region} all"))
            .await?;
    }
    vm.shell(&initialise("1.1")).await.map(drop)
}

async fn a_label_that_is_gone_is_not_recorded(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    let before = label_bytes::read(&area)?;
    create(vm, "--numa 0 vol 28Mi").await?;
    let seen = inventory(vm).await?;
    ensure!(seen.namespaces.len() == 1 && seen.namespaces[0].is_recorded, "{seen:?}");

    let with = label_bytes::read(&area)?;
    label_bytes::write(&area, &before)?;
    let without = inventory(vm).await?;
    label_bytes::write(&area, &with)?;
    ensure!(
        without.namespaces.len() == 1 && !without.namespaces[0].is_recorded,
        "{without:?}"
    );
    ensure!(without.on(0)?.free == seen.on(0)?.free, "{without:?}");
    ensure!(inventory(vm).await?.namespaces[0].is_recorded, "the label is back");
    vm.shell("ndctl destroy-namespace --force all").await.map(drop)
}

async fn a_label_of_another_name_is_not_recorded(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    vm.shell(&make("region0", "vol", 64)).await?;
    let before = label_bytes::read(&area)?;
    vm.shell(&rename("vol", "other")).await?;
    ensure!(inventory(vm).await?.named("other")?.is_recorded, "renamed");
    label_bytes::write(&area, &before)?;
    let seen = inventory(vm).await?;
    ensure!(!seen.named("other")?.is_recorded, "{seen:?}");
    // Written from what the kernel remembers.
    vm.shell(&rename("other", "vol")).await?;
    ensure!(inventory(vm).await?.named("vol")?.is_recorded, "renamed again");
    vm.shell("ndctl destroy-namespace --force all").await.map(drop)
}

/// The first command in backticks of a message.
fn advice(message: &str) -> Result<&str> {
    message
        .split('`')
        .nth(1)
        .with_context(|| format!("no command in {message:?}"))
}

async fn a_stale_label_hides_what_is_free_until_the_kernel_reads_it(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(0)?;
    vm.shell(&make("region0", "stale", 64)).await?;
    let with = label_bytes::read(&area)?;
    vm.shell(&destroy("stale")).await?;
    ensure!(inventory(vm).await?.on(0)?.state == RegionState::Ready, "destroyed");

    label_bytes::write(&area, &with)?;
    let seen = inventory(vm).await?;
    let region = seen.on(0)?;
    ensure!(
        region.state == RegionState::NotSeen && region.free.is_empty(),
        "{region:?}"
    );
    ensure!(
        region.message.contains("nmem0") && region.message.contains("\"stale\""),
        "{region:?}"
    );
    ensure!(seen.on(1)?.state == RegionState::Ready, "{seen:?}");
    let refused = fails(vm, &format!("{VOLUME} create --numa 0 vol 28Mi")).await?;
    let why = format!("no ready region on NUMA 0: {}", region.message);
    ensure!(refused.contains(&why), "{refused}");

    vm.shell("ndctl disable-region region0 && ndctl enable-region region0")
        .await?;
    ensure!(
        inventory(vm).await?.on(0)?.state == RegionState::NotSeen,
        "the kernel reads labels when a region is enabled: the advice is too long"
    );
    vm.shell(advice(&region.message)?).await?;
    let seen = inventory(vm).await?;
    ensure!(seen.on(0)?.state == RegionState::Ready, "{seen:?}");
    let found = seen.named("stale")?;
    ensure!(
        found.is_recorded && found.extent == Extent::new(Bytes::ZERO, Bytes::mib(64)),
        "{seen:?}"
    );
    vm.shell(&destroy("stale")).await.map(drop)
}

async fn a_damaged_label_hides_what_is_free(vm: &mut TestVm) -> Result<()> {
    let area = vm.nvdimm_labels(1)?;
    vm.shell(&make("region1", "precious", 64)).await?;
    let whole = label_bytes::read(&area)?;
    let name = whole
        .windows(8)
        .rposition(|bytes| bytes == b"precious")
        .context("no label")?;
    let mut damaged = whole.clone();
    // The slot number, 104 bytes behind the name: the kernel would pass over this label at the next boot.
    damaged[name + 104] ^= 0x40;
    label_bytes::write(&area, &damaged)?;
    let seen = inventory(vm).await?;
    label_bytes::write(&area, &whole)?;
    let region = seen.on(1)?;
    ensure!(
        region.state == RegionState::NotSeen && region.free.is_empty(),
        "{region:?}"
    );
    ensure!(region.message.contains("written for another slot"), "{region:?}");
    ensure!(!seen.named("precious")?.is_recorded, "{seen:?}");
    ensure!(inventory(vm).await?.on(1)?.state == RegionState::Ready, "whole again");
    vm.shell(&destroy("precious")).await.map(drop)
}

async fn a_region_that_is_disabled_releases_nothing(vm: &mut TestVm) -> Result<()> {
    create(vm, "--numa 1 vol 28Mi").await?;
    let before = inventory(vm).await?;
    vm.shell("ndctl disable-region region1").await?;
    let seen = inventory(vm).await?;
    ensure!(
        seen.on(1)?.state == RegionState::Disabled && seen.on(1)?.free.is_empty(),
        "{seen:?}"
    );
    ensure!(
        !RegionState::Disabled.shows_namespaces(),
        "a disabled region shows no namespaces"
    );
    fails(vm, &format!("{VOLUME} delete --destroy-data vol")).await?;
    vm.shell("ndctl enable-region region1").await?;
    let after = inventory(vm).await?;
    ensure!(after.on(1)? == before.on(1)?, "{before:?} became {after:?}");
    ensure!(
        after.namespaces.len() == 1 && after.namespaces[0].is_recorded,
        "{after:?}"
    );
    delete(vm, "vol").await
}

/// The kernel shows a region as enabled before its namespaces are there.
async fn a_region_being_enabled_is_never_taken_for_empty(vm: &mut TestVm) -> Result<()> {
    vm.shell(&make("region1", "kept", 64)).await?;
    let listed = vm
        .shell(&format!(
            "rm -f /tmp/enough
            while [ ! -e /tmp/enough ]; do ndctl disable-region region1; ndctl enable-region region1; done >/dev/null 2>&1 &
            for n in $(seq 15); do
                {DRIVER} inventory 2>/dev/null | jq --compact-output '{{
                    state: .regions[] | select(.numaNode == 1).state,
                    free: [.regions[] | select(.numaNode == 1).free[].size] | add,
                    names: [.namespaces[].name]}}'
            done
            touch /tmp/enough; wait
            {DRIVER} inventory >/dev/null"
        ))
        .await?;
    let lines: Vec<Value> = listed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let is_ready = |line: &&Value| line["state"] == "Ready";
    println!(
        "  {} listings, {} of a ready region",
        lines.len(),
        lines.iter().filter(is_ready).count()
    );
    ensure!(!lines.is_empty(), "no listing succeeded");
    for line in lines.iter().filter(is_ready) {
        ensure!(line["names"] == serde_json::json!(["kept"]), "taken for empty: {line}");
        ensure!(line["free"] == Bytes::mib(448).get(), "{line}");
    }
    vm.shell(&destroy("kept")).await.map(drop)
}

/// Somebody initialised the label area by mistake. What docs/troubleshooting.md says of that: the commands are those.
async fn labels_that_were_saved_bring_a_volume_back(vm: &mut TestVm) -> Result<()> {
    create(vm, "--numa 0 vol 28Mi").await?;
    stage(vm, "vol").await?;
    vm.shell("echo kept >/tmp/vol/file && umount /tmp/vol && ndctl read-labels nmem0 -o /tmp/labels")
        .await?;
    vm.shell("ndctl disable-region region0 && ndctl init-labels -f nmem0 && ndctl enable-region region0")
        .await?;
    ensure!(inventory(vm).await?.named("vol").is_err(), "it is still there");
    let back = "ndctl disable-region region0 && ndctl disable-dimm nmem0 && ndctl write-labels nmem0 -i /tmp/labels && \
                ndctl enable-dimm nmem0 && ndctl enable-region region0";
    vm.shell(back).await?;
    stage(vm, "vol").await?;
    let kept = vm.shell("cat /tmp/vol/file && umount /tmp/vol").await?;
    ensure!(kept.trim() == "kept", "{kept:?}");
    delete(vm, "vol").await
}
