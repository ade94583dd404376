//! What the kernel refuses, and with which error.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context as _, Result};
use ndctl::{Context, Error, Namespace, PageMap, Region};
use placement::Bytes;
use serde_json::{Value, json};

use crate::pieces::{Use, align, make, remove};
use crate::{print, reasons};

/// On a block device: to the exclusion of mounts and of other such openers.
const O_EXCL: i32 = 0o200;

pub(crate) fn measure(region: &str) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    alignments(region)?;
    align(region, Bytes::mib(2))?;
    sizes(region)?;
    in_use(region)?;
    names(region)?;
    restart(region)?;
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

fn outcome(tried: &str, result: Result<(), Error>) {
    let seen: Value = result.map_or_else(|error| json!(reasons(&error)), |()| json!("accepted"));
    print(json!({ "tried": tried, "seen": seen }));
}

fn on_region(region: &str, step: impl FnOnce(Region) -> Result<(), Error>) -> Result<(), Error> {
    step(Context::new()?.region(region)?)
}

fn on_namespace(device: &str, step: impl FnOnce(Namespace) -> Result<(), Error>) -> Result<(), Error> {
    step(Context::new()?.namespace(device)?)
}

fn stop(namespace: Namespace<'_>) -> Result<(), Error> {
    namespace.disable()
}

fn region_off(region: Region<'_>) -> Result<(), Error> {
    region.disable()
}

fn region_on(region: Region<'_>) -> Result<(), Error> {
    region.enable()
}

fn alignments(region: &str) -> Result<()> {
    let whole = Context::new()?.region(region)?.size();
    let odd = [
        Bytes::ZERO,
        Bytes::kib(2),
        Bytes::kib(12),
        Bytes::mib(3),
        whole.plus(whole),
    ];
    for value in odd.into_iter().chain([Bytes::kib(4), Bytes::mib(2), Bytes::mib(32)]) {
        outcome(&format!("align {value}"), align(region, value));
    }
    Ok(())
}

fn sizes(region: &str) -> Result<()> {
    let whole = Context::new()?.region(region)?.size();
    for size in [Bytes::ZERO, Bytes::kib(4), Bytes::mib(3), whole.plus(Bytes::mib(2))] {
        let made = make(region, "odd", size, Use::Raw);
        outcome(&format!("size {size}"), made.and_then(|device| remove(&device)));
    }
    Ok(())
}

fn in_use(region: &str) -> Result<()> {
    let device = make(region, "busy", Bytes::mib(16), Use::Fsdax(PageMap::Dev, Bytes::mib(2)))?;
    outcome("delete an enabled namespace", Context::new()?.delete_namespace(&device));
    outcome(
        "name an enabled namespace",
        on_namespace(&device, |n| n.set_name(&name("other"))),
    );
    outcome(
        "size of an enabled namespace",
        on_namespace(&device, |n| n.set_size(Bytes::mib(18))),
    );
    let block = Context::new()?
        .namespace(&device)?
        .block_device()
        .context("no block device")?;
    let path = format!("/dev/{block}");
    // As a mount does.
    let mounted = OpenOptions::new().read(true).custom_flags(O_EXCL).open(&path)?;
    outcome("disable a mounted namespace", on_namespace(&device, stop));
    drop(mounted);
    let open = File::open(&path)?;
    outcome("disable an open namespace", on_namespace(&device, stop));
    drop(open);
    outcome(
        "align while a namespace is enabled",
        on_region(region, |r| r.set_align(Bytes::mib(4))),
    );
    align(region, Bytes::mib(2))?;
    outcome("disable twice", {
        on_namespace(&device, stop).and_then(|()| on_namespace(&device, stop))
    });
    outcome("enable as written", on_namespace(&device, |n| n.enable().map(drop)));
    let claim = Context::new()?.namespace(&device)?.claim();
    print(json!({ "claim_after_enabling_as_written": claim.map(|claim| claim.device) }));
    remove(&device)?;
    outcome("delete what is gone", Context::new()?.delete_namespace("namespace9.9"));
    Ok(())
}

fn names(region: &str) -> Result<()> {
    let longest = "n".repeat(63);
    let device = make(region, &longest, Bytes::mib(16), Use::Raw)?;
    let seen = Context::new()?.namespace(&device)?.name();
    print(json!({ "name_of_63_bytes_kept": seen == Some(longest) }));
    remove(&device)?;
    Ok(())
}

/// What is left of name, size and alignment when the region was off.
fn restart(region: &str) -> Result<()> {
    let device = make(region, "stays", Bytes::mib(28), Use::Sector)?;
    let uuid = Context::new()?.namespace(&device)?.uuid();
    on_region(region, region_off)?;
    print(json!({ "namespaces_while_disabled": Context::new()?.region(region)?.namespaces()?.len() }));
    on_region(region, region_on)?;
    let context = Context::new()?;
    let back = context.region(region)?;
    let same = back
        .namespaces()?
        .into_iter()
        .find(|namespace| namespace.uuid() == uuid);
    let same = same.context("the namespace is gone")?;
    print(json!({
        "after_restart": { "device": same.device(), "name": same.name(), "size": same.size(), "mode": format!("{:?}", same.mode()) },
        "align": back.align(),
    }));
    let device = same.device();
    drop(context);
    Ok(remove(&device)?)
}

fn name(text: &str) -> ndctl::NamespaceName {
    text.parse().unwrap_or_else(|error| unreachable!("{text}: {error}"))
}
