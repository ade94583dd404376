//! Which hole the kernel takes, and what it counts as free.

use anyhow::Result;
use ndctl::Context;
use placement::Bytes;
use serde_json::json;

use crate::pieces::{Use, align, make, remove};
use crate::{print, reasons};

pub(crate) fn measure(region: &str) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    align(region, Bytes::mib(2))?;
    let pieces = [64, 32, 16, 128, 48, 20].map(Bytes::mib);
    let names: Vec<String> = (0..pieces.len()).map(|n| format!("piece-{n}")).collect();
    let made: Vec<String> = names
        .iter()
        .zip(pieces)
        .map(|(name, size)| make(region, name, size, Use::Raw))
        .collect::<Result<_, _>>()?;
    show(region, "six pieces")?;
    for hole in [1, 3] {
        remove(&made[hole])?;
    }
    show(region, "holes of 32 and 128 MiB")?;
    let small = make(region, "small", Bytes::mib(30), Use::Raw)?;
    show(region, "30 MiB more")?;
    let large = make(region, "large", Bytes::mib(34), Use::Raw)?;
    show(region, "34 MiB more")?;
    largest(region)?;
    for device in [&made[0], &made[2], &made[4], &made[5], &small, &large] {
        remove(device)?;
    }
    show(region, "empty")?;
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

/// The kernel's largest extent can be had, and one step more cannot.
fn largest(region: &str) -> Result<()> {
    let context = Context::new()?;
    let Some(extent) = context.region(region)?.max_available_extent()? else {
        return Ok(());
    };
    let over = make(region, "over", extent.plus(Bytes::mib(2)), Use::Raw);
    print(json!({ "over_largest": over.map_err(|error| reasons(&error)) }));
    let exact = make(region, "exact", extent, Use::Raw)?;
    show(region, "largest extent taken")?;
    remove(&exact)?;
    Ok(())
}

fn show(region: &str, step: &str) -> Result<()> {
    let context = Context::new()?;
    let region = context.region(region)?;
    let start = region.start()?;
    let taken: Vec<_> = region
        .namespaces()?
        .into_iter()
        .filter(|namespace| !namespace.size().is_zero())
        .map(|namespace| {
            let offset = namespace.start().map(|at| at.minus(start));
            json!({ "name": namespace.name(), "device": namespace.device(), "start": offset, "size": namespace.size() })
        })
        .collect();
    print(json!({
        "step": step,
        "available": region.available_size()?,
        "max_available_extent": region.max_available_extent()?,
        "idle": region.namespaces()?.into_iter().filter(|namespace| namespace.size().is_zero()).count(),
        "taken": taken,
    }));
    Ok(())
}
