//! Usable bytes by size, mode and alignment, beside what `placement` says.

use std::time::Instant;

use anyhow::Result;
use ndctl::{Context, PageMap};
use placement::{Bytes, MapLocation, Mode};
use serde_json::{Value, json};

use crate::pieces::{Use, align, block_size, make, remove};
use crate::{print, reasons};

const PURPOSES: [Use; 4] = [
    Use::Raw,
    Use::Fsdax(PageMap::Dev, Bytes::mib(2)),
    Use::Fsdax(PageMap::Mem, Bytes::mib(2)),
    Use::Sector,
];

pub(crate) fn measure(region: &str) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    for (region_align, sizes) in sizes() {
        align(region, region_align)?;
        for raw in sizes {
            for purpose in PURPOSES {
                let mut line = one(region, raw, purpose)?;
                line["region_align"] = json!(region_align);
                line["predicted"] = json!(predicted(purpose, raw));
                print(line);
            }
        }
    }
    displaced(region)?;
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

/// Sizes around the smallest that work, and where the page map grows by another 2 MiB, in regions of each alignment.
fn sizes() -> [(Bytes, Vec<Bytes>); 3] {
    let mib = |sizes: &[u32]| sizes.iter().copied().map(Bytes::mib).collect();
    let around_16_mib = [
        4,
        1024,
        16 * 1024 - 4,
        16 * 1024,
        16 * 1024 + 4,
        16 * 1024 + 8,
        29 * 1024 + 12,
    ];
    [
        (Bytes::mib(16), mib(&[16, 32, 64, 160, 512])),
        (Bytes::mib(2), mib(&[2, 14, 16, 18, 28, 30, 100, 126, 128, 130, 256])),
        (Bytes::kib(4), around_16_mib.into_iter().map(Bytes::kib).collect()),
    ]
}

/// Zero where the kernel is not expected to start the namespace.
fn predicted(purpose: Use, raw: Bytes) -> Bytes {
    match purpose {
        Use::Raw => raw,
        Use::Fsdax(PageMap::Dev, _) => Mode::Fsdax(MapLocation::Dev).usable(raw),
        Use::Fsdax(PageMap::Mem, _) => Mode::Fsdax(MapLocation::Mem).usable(raw),
        Use::Sector => Mode::Sector.usable(raw),
    }
}

fn one(region: &str, raw: Bytes, purpose: Use) -> Result<Value> {
    let began = Instant::now();
    let made = make(region, "probe", raw, purpose);
    let took = began.elapsed().as_micros();
    let mut line = json!({ "use": purpose.to_string(), "raw": raw, "create_us": took });
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

/// Namespaces that start 4 KiB and 1 MiB off. The region's alignment is 4 KiB here.
fn displaced(region: &str) -> Result<()> {
    for off in [Bytes::kib(4), Bytes::mib(1)] {
        let before = make(region, "before", off, Use::Raw)?;
        for raw in [18, 64].map(Bytes::mib) {
            for purpose in PURPOSES {
                let mut line = one(region, raw, purpose)?;
                line["displaced_by"] = json!(off);
                print(line);
            }
        }
        remove(&before)?;
    }
    Ok(())
}
