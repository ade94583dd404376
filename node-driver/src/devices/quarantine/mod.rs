//! Bytes that cannot be zeroed, and how they are kept out of use.
//!
//! The kernel does not avoid bad blocks, so those in free space are covered by namespaces of ours with the mark
//! [`Stage::Quarantined`]: labels survive a reboot, which lists of bad blocks may not. What is not covered yet is *exposed*, and
//! not free either. A namespace that turned out to have bytes which cannot be zeroed gets the same mark as a whole.

mod cover;
mod exposed;

use crds::{BusProvider, QuarantinedBytes, RegionState};
use placement::{Bytes, Extent, RegionId, free_between};

use super::inventory::{Inventory, Namespace, Region};
use super::mark::{Mark, Owner, Stage};

pub use cover::{Pieces, cover};

/// What the ids of namespaces begin with that cover bad blocks. No volume has such an id: it is no DNS label.
const BAD: &str = "bad_";
/// The same of namespaces that are there while others are made. They are only ever [`Stage::Making`].
const FILLER: &str = "filler_";

impl Inventory {
    /// The parts of a region's free space that have bad blocks, as a namespace would have to cover them; none if not all
    /// namespaces are shown.
    #[must_use]
    pub fn exposed(&self, region: &Region) -> Vec<Extent> {
        if !region.state.shows_namespaces() {
            return Vec::new();
        }
        exposed::exposed(&self.holes(region), &region.bad, region.alignment)
    }

    /// The ready regions with bad blocks in free space that no namespace covers yet, or with what is left of an attempt to
    /// cover them.
    pub fn to_cover(&self) -> impl Iterator<Item = &RegionId> {
        let is_left = |region: &Region| self.temporary(&region.id).next().is_some();
        let ready = self.regions.iter().filter(|region| region.state == RegionState::Ready);
        let open = ready.filter(move |region| is_left(region) || !self.exposed(region).is_empty());
        open.map(|region| &region.id)
    }

    /// The bytes of a region that are kept out of use, and how an administrator releases them.
    #[must_use]
    pub fn quarantine(&self, region: &Region) -> Vec<QuarantinedBytes> {
        let all = self.namespaces.iter();
        let here = all.filter(|namespace| namespace.region == region.id && is_quarantined(namespace));
        let covered = here.map(|namespace| QuarantinedBytes {
            extent: namespace.extent,
            message: how_to_release(namespace, region),
        });
        let exposed = self.exposed(region).into_iter().map(|extent| QuarantinedBytes {
            extent,
            message: format!(
                "{} in free space: the driver covers them with a namespace, which says how to release them",
                listed(region, extent)
            ),
        });
        let mut all: Vec<QuarantinedBytes> = covered.chain(exposed).collect();
        all.sort_unstable_by_key(|bytes| bytes.extent);
        all
    }

    /// Whether something has to go before a namespace is made in a region, or bad blocks have to be covered.
    #[must_use]
    pub fn is_to_clear(&self, region: &RegionId) -> bool {
        self.goes_first(region).next().is_some() || self.to_cover().any(|other| other == region)
    }

    /// What is free for the kernel, in a region whose temporary namespaces are gone.
    fn holes(&self, region: &Region) -> Vec<Extent> {
        let here = self.in_region(&region.id);
        let stay = here.filter(|namespace| temporary_id(namespace).is_none() && !namespace.is_sweep());
        free_between(region.size, stay.map(|namespace| namespace.extent))
    }

    /// The ids of namespaces in a region that are there only while others are made.
    fn temporary<'a>(&'a self, region: &'a RegionId) -> impl Iterator<Item = &'a str> {
        self.in_region(region).filter_map(temporary_id)
    }

    /// The ids of namespaces in a region that others do not wait for.
    fn goes_first<'a>(&'a self, region: &'a RegionId) -> impl Iterator<Item = &'a str> {
        let id = |namespace: &'a Namespace| temporary_id(namespace).or_else(|| namespace.sweep());
        self.in_region(region).filter_map(id)
    }

    /// The namespaces in a region.
    pub(super) fn in_region<'a>(&'a self, region: &'a RegionId) -> impl Iterator<Item = &'a Namespace> {
        let all = self.namespaces.iter();
        all.filter(move |namespace| namespace.region == *region)
    }
}

fn temporary_id(namespace: &Namespace) -> Option<&str> {
    match namespace.owner() {
        Owner::Ours(Mark {
            volume,
            stage: Stage::Making,
        }) => Some(volume).filter(|id| id.starts_with(BAD) || id.starts_with(FILLER)),
        Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => None,
    }
}

fn is_quarantined(namespace: &Namespace) -> bool {
    matches!(namespace.owner(), Owner::Ours(mark) if mark.stage == Stage::Quarantined)
}

/// The id of the namespace that covers an extent: it tells the place, and no other has it.
pub(super) fn id_of(region: &RegionId, extent: Extent) -> String {
    id(BAD, region, extent)
}

fn id(kind: &str, region: &RegionId, extent: Extent) -> String {
    format!("{kind}{region}_{:x}", extent.start.get())
}

/// Once the kernel knows of no bad blocks there, nothing makes the driver cover them again.
fn how_to_release(namespace: &Namespace, region: &Region) -> String {
    let device = &namespace.device;
    if region.bus == BusProvider::Emulated {
        let name = &namespace.name;
        return format!("{name} is in layout.json: taken out while the driver is stopped, its bytes are free again");
    }
    let is_known = region.bad.iter().any(|bad| bad.overlaps(namespace.extent));
    if is_known {
        format!(
            "{device} has {}: `ndctl clear-errors {device}` clears them if the module can, else replace the module; then \
             `ndctl destroy-namespace --force {device}` gives the bytes back",
            listed(region, namespace.extent)
        )
    } else {
        format!(
            "{device} has bytes that could not be zeroed, and the kernel lists no bad blocks in it now: `ndctl \
             destroy-namespace --force {device}` gives the bytes back"
        )
    }
}

/// How many bad bytes of an extent the kernel lists, and where the first of them is in the region.
fn listed(region: &Region, extent: Extent) -> String {
    let inside = |bad: &Extent| {
        let start = bad.start.max(extent.start);
        Extent::new(start, bad.end().min(extent.end()).minus(start))
    };
    let here = region.bad.iter().filter(|bad| bad.overlaps(extent)).map(inside);
    let (first, bytes) = here.fold((extent.end(), Bytes::ZERO), |(first, bytes), bad| {
        (first.min(bad.start), bytes.plus(bad.size))
    });
    format!("{bytes} of bad blocks, the first at {first} of the region")
}

#[cfg(test)]
mod tests;
