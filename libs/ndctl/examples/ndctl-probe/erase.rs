//! Every raw byte of a namespace can be reached and zeroed, and stays where it is when the namespace goes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use ndctl::{Activation, Context, PageMap};
use placement::Bytes;
use serde_json::json;

use crate::pieces::{Use, align, make, remove};
use crate::print;

const SIZE: Bytes = Bytes::mib(28);
const CHUNK: usize = 1 << 20;

pub(crate) fn measure(region: &str) -> Result<()> {
    let before = Context::new()?.region(region)?.align();
    align(region, Bytes::mib(2))?;
    fill(&make(region, "secret", SIZE, Use::Raw)?)?;
    for purpose in [Use::Fsdax(PageMap::Dev, Bytes::mib(2)), Use::Sector] {
        let device = make(region, "heir", SIZE, purpose)?;
        let (mode, begins) = (purpose.to_string(), fresh_contents(&device)?);
        print(json!({ "use": mode, "sees_old_bytes": begins }));
        zero(&device)?;
        print(json!({ "use": mode, "left_after_erasing": not_zero(&device)? }));
        remove(&device)?;
        fill(&make(region, "secret", SIZE, Use::Raw)?)?;
    }
    let last = make(region, "last", SIZE, Use::Raw)?;
    zero(&last)?;
    remove(&last)?;
    if let Some(before) = before {
        align(region, before)?;
    }
    Ok(())
}

/// Writes a pattern over a raw namespace and deletes it.
fn fill(device: &str) -> Result<()> {
    write_all(&path_of(device)?, 0xa5)?;
    Ok(remove(device)?)
}

/// Whether the pattern shows through a namespace that was just made.
fn fresh_contents(device: &str) -> Result<bool> {
    let mut first = vec![0; CHUNK];
    File::open(path_of(device)?)?.read_exact(&mut first)?;
    Ok(first.contains(&0xa5))
}

/// Brings the namespace up raw.
fn bare(device: &str) -> Result<String> {
    let context = Context::new()?;
    let namespace = context.namespace(device)?;
    namespace.disable()?;
    namespace.set_raw_mode(true)?;
    ensure!(
        namespace.enable()? == Activation::Raw,
        "{device} is claimed in raw mode"
    );
    drop(context);
    path_of(device)
}

fn dress(device: &str) -> Result<()> {
    let context = Context::new()?;
    let namespace = context.namespace(device)?;
    namespace.disable()?;
    Ok(namespace.set_raw_mode(false)?)
}

fn zero(device: &str) -> Result<()> {
    let path = bare(device)?;
    let began = Instant::now();
    let written = write_all(&path, 0)?;
    print(json!({ "zeroed": written, "took_us": began.elapsed().as_micros() }));
    dress(device)
}

/// How many bytes are not zero.
fn not_zero(device: &str) -> Result<usize> {
    let mut contents = Vec::new();
    File::open(bare(device)?)?.read_to_end(&mut contents)?;
    dress(device)?;
    ensure!(i64::try_from(contents.len())? == SIZE.get(), "{} bytes", contents.len());
    Ok(contents.into_iter().filter(|byte| *byte != 0).count())
}

/// Overwrites the whole device; how many bytes that was.
fn write_all(path: &str, byte: u8) -> Result<u64> {
    let mut device = OpenOptions::new().read(true).write(true).open(path)?;
    let size = device.seek(std::io::SeekFrom::End(0))?;
    device.rewind()?;
    let chunk = vec![byte; CHUNK];
    let mut left = usize::try_from(size)?;
    while left > 0 {
        let next = left.min(CHUNK);
        device.write_all(&chunk[..next])?;
        left -= next;
    }
    device.sync_all()?;
    Ok(size)
}

fn path_of(device: &str) -> Result<String> {
    let context = Context::new()?;
    let block = context.namespace(device)?.block_device().context("no block device")?;
    Ok(format!("/dev/{block}"))
}
