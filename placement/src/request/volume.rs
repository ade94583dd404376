//! What one claim asks of a node, and what that takes from a hole.

use crate::holes::{Footprints, Holes, RegionHoles};
use crate::{Alignment, Bytes, Mode, NumaWish, Refusal};

/// What one claim asks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeRequest {
    /// Usable bytes, at least.
    pub required: Bytes,
    /// Usable bytes, at most.
    pub limit: Option<Bytes>,
    /// How the namespace presents its bytes, which decides how many of them are usable.
    pub mode: Mode,
    /// The NUMA node where they have to be.
    pub numa: NumaWish,
}

impl VolumeRequest {
    /// The raw size of the namespace that it gets in a region of `alignment`.
    ///
    /// # Errors
    /// As [`Mode::footprint`].
    pub(crate) fn footprint(&self, alignment: Alignment) -> Result<Bytes, Refusal> {
        self.mode.footprint(alignment, self.required, self.limit)
    }

    /// What it takes from a hole of a region of `alignment`: its footprint, and what is left of the last unit, because the
    /// next namespace starts on a multiple of the alignment. None if there is no such namespace.
    pub(crate) fn taken_from_hole(&self, alignment: Alignment) -> Option<Bytes> {
        let footprint = self.footprint(alignment).ok()?;
        Some(footprint.round_up(alignment.get()))
    }

    /// What it takes from a hole of each region of a node.
    pub(crate) fn footprints(&self, holes: &Holes) -> Footprints {
        let footprint = |region| self.footprint_in(region, |alignment| self.taken_from_hole(alignment));
        holes.regions().iter().map(footprint).collect()
    }

    /// What it takes from a hole of `region`, none if it cannot be there. `taken_from_hole` is
    /// [`VolumeRequest::taken_from_hole`], or remembers it.
    pub(super) fn footprint_in(
        &self,
        region: &RegionHoles,
        taken_from_hole: impl FnOnce(Alignment) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let allowed = self.numa.allows(region.numa);
        if allowed {
            taken_from_hole(region.alignment)
        } else {
            None
        }
    }

    /// The same request with `together` replaced by `choice`.
    pub(crate) fn settled(self, choice: NumaWish) -> Self {
        match self.numa {
            NumaWish::Together => Self { numa: choice, ..self },
            NumaWish::Any | NumaWish::Node(_) => self,
        }
    }
}
