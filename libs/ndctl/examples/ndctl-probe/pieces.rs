//! Making and removing namespaces, step by step.

use std::fmt;

use anyhow::{Context as _, Result};
use ndctl::{Context, Error, Fsdax, Mode, Namespace, PageMap, Sector};
use placement::Bytes;
use uuid::Uuid;

/// What a namespace is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Raw,
    Fsdax(PageMap, Bytes),
    Sector,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Fsdax(PageMap::Dev, _) => "fsdax-dev",
            Self::Fsdax(PageMap::Mem, _) => "fsdax-mem",
            Self::Sector => "sector",
        })
    }
}

/// Sets the alignment of a region.
pub(crate) fn align(region: &str, align: Bytes) -> Result<(), Error> {
    Context::new()?.region(region)?.set_align(align)
}

/// Takes space and starts the namespace; its device name. What fails half-way is removed.
pub(crate) fn make(region: &str, name: &str, size: Bytes, purpose: Use) -> Result<String, Error> {
    let device = allocate(region, name, size, purpose)?;
    let context = Context::new()?;
    let started = start(context.namespace(&device)?, purpose);
    drop(context);
    match started {
        Ok(()) => Ok(device),
        Err(error) => {
            remove(&device)?;
            Err(error)
        }
    }
}

fn allocate(region: &str, name: &str, size: Bytes, purpose: Use) -> Result<String, Error> {
    let context = Context::new()?;
    let namespace = context.region(region)?.idle_namespace()?;
    namespace.set_uuid(Uuid::new_v4())?;
    namespace.set_name(&name.parse().unwrap_or_else(|error| unreachable!("{name}: {error}")))?;
    namespace.set_holder_class(match purpose {
        Use::Raw => Mode::Raw,
        Use::Fsdax(..) => Mode::Fsdax,
        Use::Sector => Mode::Sector,
    })?;
    namespace.set_size(size)?;
    Ok(namespace.device())
}

fn start(namespace: Namespace, purpose: Use) -> Result<(), Error> {
    let uuid = Uuid::new_v4();
    match purpose {
        Use::Raw => namespace.enable().map(drop),
        Use::Fsdax(map, align) => namespace.enable_fsdax(Fsdax { uuid, map, align }),
        Use::Sector => namespace.enable_sector(Sector {
            uuid,
            sector_size: 4096,
        }),
    }
}

/// Stops and deletes a namespace. Its bytes stay.
pub(crate) fn remove(device: &str) -> Result<(), Error> {
    let mut context = Context::new()?;
    context.namespace(device)?.disable()?;
    context.delete_namespace(device)
}

/// The bytes that the block device of a namespace offers, by the count of the block layer.
pub(crate) fn block_size(device: &str) -> Result<i64> {
    let context = Context::new()?;
    let block = context.namespace(device)?.block_device().context("no block device")?;
    let sectors = std::fs::read_to_string(format!("/sys/class/block/{block}/size"))?;
    Ok(sectors.trim().parse::<i64>()? * 512)
}
