//! What the label areas of a region tell of labels that were written.

use ndctl::{Context, Dimm, LabelArea, Mapping, Region, Slot};
use placement::{Bytes, Extent};
use program::chain;

use crate::devices::error::Source;
use crate::devices::uevents::Announced;
use crate::known_zero::{self, LabelAreas, Look, ModuleArea};

/// Looks at the region that the kernel calls so; nothing if that is not possible, or there is a module without labels.
pub(super) fn look(region: &str, announced: &Announced) -> Option<Look> {
    let look = || -> Result<Look, Source> {
        // First: what is announced while they are read counts.
        let announced = announced.count()?;
        let context = Context::new()?;
        let areas = label_areas(context.region(region)?)?;
        Ok(Look { announced, areas })
    };
    look()
        .inspect_err(|error| tracing::debug!(region, error = chain(&**error), "its label areas cannot be looked at"))
        .ok()
}

fn label_areas(region: Region<'_>) -> Result<LabelAreas, Source> {
    let ways = i64::from(region.interleave_ways().max(1));
    let mut modules = Vec::new();
    for mapping in region.mappings()? {
        modules.push((mapping.position(), module_area(mapping, ways)?));
    }
    modules.sort_by_key(|(position, _)| *position);
    Ok(LabelAreas {
        size: region.size(),
        modules: modules.into_iter().map(|(_, module)| module).collect(),
    })
}

fn module_area(mapping: Mapping<'_>, ways: i64) -> Result<ModuleArea, Source> {
    let LabelArea::Initialised(labels) = mapping.dimm().label_area()? else {
        return Err("a module has no labels".into());
    };
    let own = Extent::new(mapping.start(), mapping.size());
    let extent = |slot: u32| -> Result<Option<Extent>, Source> {
        // They are in the order of their slots.
        let Ok(found) = labels.labels.binary_search_by_key(&slot, |label| label.slot) else {
            return Ok(None);
        };
        let label = &labels.labels[found];
        let taken = Extent::new(label.start, label.size);
        if !taken.overlaps(own) {
            return Ok(None);
        }
        if taken.start < own.start || taken.end() > own.end() {
            return Err("a label reaches out of its region".into());
        }
        let start = taken.start.minus(own.start);
        Ok(Some(Extent::new(start.times(ways), taken.size.times(ways))))
    };
    let slot = |(number, slot): (u32, &Slot)| -> Result<known_zero::Slot, Source> {
        Ok(known_zero::Slot {
            is_used: slot.is_used,
            uuid: slot.uuid,
            extent: extent(number)?,
            content: slot.bytes.clone(),
        })
    };
    Ok(ModuleArea {
        module: module(mapping.dimm(), mapping.position(), own),
        indexes: ModuleArea::indexes(labels.index.sequence, labels.index.number == 1),
        slots: (0..).zip(&labels.slots).map(slot).collect::<Result<_, _>>()?,
    })
}

/// What was flushed may be lost where the platform failed to save it when the power went.
fn module(dimm: Dimm<'_>, position: Option<u32>, part: Extent) -> String {
    let Extent { start, size } = part;
    format!(
        "{:?} {position:?} {} {} {:?}",
        dimm.unique_id(),
        Bytes::get(start),
        Bytes::get(size),
        dimm.dirty_shutdowns()
    )
}
