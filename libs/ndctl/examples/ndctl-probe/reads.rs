//! Whether memory grows with what is read: the node driver reads all the time, for years.

use anyhow::{Context as _, Result};
use ndctl::Context;
use placement::Bytes;
use serde_json::json;

use crate::print;

/// Enough of them that what is kept of each shows: libndctl keeps 128 KiB of each label area that it reads.
const READS: usize = 500;

/// Reads regions, namespaces and label areas again and again, and prints by how many bytes the address space grew. What is taken once,
/// by the first of them, does not count.
pub(crate) fn measure() -> Result<()> {
    read_all(READS)?;
    let before = address_space()?;
    read_all(READS)?;
    let grown = address_space()?.minus(before);
    print(json!({ "reads": READS, "grown": grown }));
    Ok(())
}

fn read_all(times: usize) -> Result<()> {
    for _ in 0..times {
        let context = Context::new()?;
        for region in context.regions()? {
            region.namespaces()?;
            for mapping in region.mappings()? {
                mapping.dimm().label_area()?;
                mapping.dimm().label_index()?;
            }
        }
    }
    Ok(())
}

/// Of this process (proc(5), `/proc/pid/statm`).
fn address_space() -> Result<Bytes> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').next().context("statm is empty")?;
    Ok(Bytes::kib(4).times(pages.parse()?))
}
