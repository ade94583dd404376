//! Usable bytes by size, mode and alignment.

use std::time::Instant;

use anyhow::Result;
use ndctl::{Context, PageMap};
use placement::Bytes;
use serde_json::{Value, json};

use crate::pieces::{Use, align, block_size, make, remove};
use crate::{print, reasons};

const MIB: [u32; 19] = [
    2, 4, 8, 12, 14, 16, 18, 20, 28, 30, 32, 48, 64, 96, 100, 128, 160, 256, 512,
];

pub(crate) fn measure(region: &str) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    for region_align in [Bytes::mib(16), Bytes::mib(2), Bytes::kib(4)] {
        align(region, region_align)?;
        print(json!({ "region_align": region_align }));
        for raw in sizes(region_align) {
            for purpose in purposes() {
                print(one(region, raw, purpose)?);
            }
        }
    }
    displaced(region)?;
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

/// Multiples of the alignment, and sizes next to the smallest one that works.
fn sizes(region_align: Bytes) -> Vec<Bytes> {
    let mut sizes: Vec<Bytes> = MIB.into_iter().map(Bytes::mib).collect();
    if region_align == Bytes::kib(4) {
        let odd = [16 * 1024 - 4, 16 * 1024 + 4, 16 * 1024 + 8, 17 * 1024, 29 * 1024 + 12];
        sizes.extend([Bytes::kib(4), Bytes::mib(1)].into_iter().chain(odd.map(Bytes::kib)));
    }
    sizes.retain(|size| size.is_multiple_of(region_align));
    sizes
}

fn purposes() -> [Use; 5] {
    [
        Use::Raw,
        Use::Fsdax(PageMap::Dev, Bytes::mib(2)),
        Use::Fsdax(PageMap::Mem, Bytes::mib(2)),
        Use::Fsdax(PageMap::Dev, Bytes::kib(4)),
        Use::Sector,
    ]
}

fn one(region: &str, raw: Bytes, purpose: Use) -> Result<Value> {
    let began = Instant::now();
    let made = make(region, "probe", raw, purpose);
    let took = began.elapsed().as_micros();
    let mut line = json!({ "use": format!("{purpose:?}"), "raw": raw, "create_us": took });
    match made {
        Ok(device) => {
            line["usable"] = json!(block_size(&device)?);
            line["claimed"] = json!(claimed(&device)?);
            line["start"] = json!(Context::new()?.namespace(&device)?.start());
            let began = Instant::now();
            remove(&device)?;
            line["delete_us"] = json!(began.elapsed().as_micros());
        }
        Err(error) => line["error"] = json!(reasons(&error)),
    }
    Ok(line)
}

/// Usable bytes by the count of the claiming device.
fn claimed(device: &str) -> Result<Option<Bytes>> {
    let context = Context::new()?;
    let claim = context.namespace(device)?.claim();
    Ok(claim.and_then(|claim| claim.usable))
}

/// The same sizes for a namespace that starts 4 KiB and 1 MiB off.
fn displaced(region: &str) -> Result<()> {
    for off in [Bytes::kib(4), Bytes::mib(1)] {
        let before = make(region, "before", off, Use::Raw)?;
        print(json!({ "displaced_by": off }));
        for raw in [16, 18, 28, 32, 64].map(Bytes::mib) {
            for purpose in purposes() {
                print(one(region, raw, purpose)?);
            }
        }
        remove(&before)?;
    }
    Ok(())
}
