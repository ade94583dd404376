//! Making namespaces exactly where bad blocks are.

use placement::RegionId;

use super::exposed::{Piece, pieces};
use super::{FILLER, id, id_of};
use crate::devices::backend::NewNamespace;
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Inventory, Region};
use crate::devices::mark::Stage;

/// What a backend does with single namespaces while it lets nobody else change anything. `seen` is a listing that shows the
/// namespace in question, or that there is none of that id.
pub trait Pieces {
    /// As [`Devices::inventory`](crate::devices::Devices::inventory).
    ///
    /// # Errors
    /// Anything could not be read.
    fn inventory(&self) -> Result<Inventory, DeviceError>;

    /// Makes a namespace that is marked [`Stage::Making`].
    ///
    /// # Errors
    /// As [`Devices::create`](crate::devices::Devices::create).
    fn make(&self, seen: &Inventory, new: &NewNamespace) -> Result<(), DeviceError>;

    /// Changes the mark of a namespace.
    ///
    /// # Errors
    /// As [`Devices::mark`](crate::devices::Devices::mark).
    fn mark(&self, seen: &Inventory, id: &str, stage: Stage) -> Result<(), DeviceError>;

    /// Destroys a namespace that nobody has data in.
    ///
    /// # Errors
    /// As [`Devices::destroy`](crate::devices::Devices::destroy).
    fn destroy(&self, seen: &Inventory, id: &str) -> Result<(), DeviceError>;
}

/// Covers all bad blocks in the free space of a region. Until a namespace is known to be where it should, it is marked
/// [`Stage::Making`]: whatever ends this half-way, the next call takes those away and begins again.
///
/// # Errors
/// [`DeviceError::NotCovered`] if somebody else changed the region meanwhile; or what an operation on a namespace said.
pub fn cover(devices: &impl Pieces, id: &RegionId) -> Result<(), DeviceError> {
    destroy_temporary(devices, id)?;
    let inventory = devices.inventory()?;
    let Some(region) = inventory.region(id) else {
        return Ok(());
    };
    let planned = pieces(&kernels_view(&inventory, region), &inventory.exposed(region));
    if planned.is_empty() {
        return Ok(());
    }
    let covered = make_all(devices, &inventory, region, &planned).and_then(|()| mark_bad(devices, id, &planned));
    // They go whatever happened; the first error is the one to tell.
    let gone = destroy_temporary(devices, id);
    covered.and(gone)
}

fn kernels_view(inventory: &Inventory, region: &Region) -> placement::Region {
    placement::Region {
        id: region.id.clone(),
        numa: region.numa,
        alignment: region.alignment,
        free: inventory.holes(region),
    }
}

fn make_all(devices: &impl Pieces, seen: &Inventory, region: &Region, planned: &[Piece]) -> Result<(), DeviceError> {
    let make = |piece: &Piece| {
        let new = NewNamespace {
            volume: id_of_piece(&region.id, piece),
            region: region.id.clone(),
            footprint: piece.extent.size,
        };
        devices.make(seen, &new)
    };
    planned.iter().try_for_each(make)
}

/// Marks those that are where they should be.
fn mark_bad(devices: &impl Pieces, region: &RegionId, planned: &[Piece]) -> Result<(), DeviceError> {
    for piece in planned.iter().filter(|piece| piece.is_bad) {
        let made = devices.inventory()?;
        let id = id_of(region, piece.extent);
        let is_there = |namespace: &&_| super::temporary_id(namespace) == Some(&*id);
        let found = made.namespaces.iter().find(is_there);
        if found.is_none_or(|found| found.extent != piece.extent) {
            return Err(DeviceError::NotCovered {
                region: region.clone(),
                extent: piece.extent,
            });
        }
        devices.mark(&made, &id, Stage::Quarantined)?;
    }
    Ok(())
}

fn destroy_temporary(devices: &impl Pieces, region: &RegionId) -> Result<(), DeviceError> {
    loop {
        // Listed anew each time: kernel names are used again, perhaps for somebody else's namespace.
        let seen = devices.inventory()?;
        match seen.goes_first(region).next() {
            Some(id) => devices.destroy(&seen, id)?,
            None => return Ok(()),
        }
    }
}

fn id_of_piece(region: &RegionId, piece: &Piece) -> String {
    if piece.is_bad {
        id_of(region, piece.extent)
    } else {
        id(FILLER, region, piece.extent)
    }
}
