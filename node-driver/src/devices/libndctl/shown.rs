//! The block device of one volume, from what the kernel shows of the namespaces with its name.
//!
//! Whoever uses a volume asks for it, many at once after a reboot. It reads no label area and nothing of other volumes but their
//! names, so that it waits for nothing that happens to them.

use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use ndctl::{Mode, NamedNamespace, namespaces_named};
use placement::NumaNode;
use uuid::Uuid;

use super::block;
use crate::devices::backend::VolumeDevice;
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Labelled, NamespaceMode};
use crate::devices::mark;
use crate::devices::required::{Presented, find as find_among};

/// How often to look while somebody else changes a namespace, and how long to wait in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(20);

impl Labelled for NamedNamespace {
    fn label(&self) -> (&str, Option<Uuid>) {
        (&self.name, self.uuid)
    }
}

/// What [`Devices::find_volume`](crate::devices::Devices::find_volume) answers. `is_recorded` is asked about a namespace with a mark.
pub(super) fn find(
    volume: &str,
    is_recorded: impl FnOnce(&NamedNamespace) -> Result<bool, DeviceError>,
) -> Result<Option<VolumeDevice>, DeviceError> {
    let named = named(volume)?;
    let Some((found, stage)) = find_among(&named, volume)? else {
        return Ok(None);
    };
    let is_recorded = stage.is_some() && is_recorded(found)?;
    let presented = presented(found)?;
    presented
        .volume_device(volume, stage, is_recorded, block::has_dax)
        .map(Some)
}

fn named(volume: &str) -> Result<Vec<NamedNamespace>, DeviceError> {
    let mut attempts = 1;
    loop {
        match namespaces_named(|name| mark::volume_in(name) == volume) {
            Err(_) if attempts < ATTEMPTS => attempts += 1,
            done => return done.map_err(|error| DeviceError::Listing(error.into())),
        }
        sleep(PAUSE);
    }
}

fn presented(found: &NamedNamespace) -> Result<Presented, DeviceError> {
    let block = found.block_device.as_ref().map(|name| Path::new("/dev").join(name));
    let usable = block.as_deref().map(block::size).transpose();
    Ok(Presented {
        mode: match found.mode {
            Mode::Raw => NamespaceMode::Raw,
            Mode::Fsdax => NamespaceMode::Fsdax,
            Mode::Sector => NamespaceMode::Sector,
            Mode::Devdax => NamespaceMode::Devdax,
        },
        block,
        usable: usable.map_err(|error: io::Error| DeviceError::Listing(error.into()))?,
        numa: found.numa_node.map(NumaNode),
    })
}
