//! The label areas of all modules, each read once for a listing.

use std::collections::BTreeMap;

use ndctl::{Dimm, LabelArea, Mapping, Region};
use program::chain;

use super::agreement::Part;
use super::region_state::LabelSlots;
use crate::devices::error::Source;

/// What is in the label area of each module by its device name, or why that cannot be read.
#[derive(Debug)]
pub(super) struct ModuleLabels(BTreeMap<String, Result<LabelArea, String>>);

impl ModuleLabels {
    /// Reads those of all modules that the regions are made of.
    pub(super) fn read(regions: &[Region<'_>]) -> Result<Self, ndctl::Error> {
        let areas = modules(regions)?.into_iter().map(|(device, module)| {
            let area = module.label_area().map_err(|error| chain(&error));
            (device, area)
        });
        Ok(Self(areas.collect()))
    }

    /// Whether the same indexes are in force as when they were read, and what could not be read still cannot.
    pub(super) fn are_unchanged(&self, regions: &[Region<'_>]) -> Result<bool, ndctl::Error> {
        let is_unchanged = |(device, module): (String, Dimm<'_>)| match self.0.get(&device) {
            Some(Ok(LabelArea::Initialised(labels))) => module.has_index(labels.index).is_ok_and(|has| has),
            Some(Ok(LabelArea::None | LabelArea::Uninitialised)) => {
                module.label_index().is_ok_and(|index| index.is_none())
            }
            Some(Err(_)) => module.label_area().is_err(),
            None => false,
        };
        Ok(modules(regions)?.into_iter().all(is_unchanged))
    }

    /// What the label area of a module has room for, or why it cannot be read.
    pub(super) fn slots(&self, device: &str) -> Result<LabelSlots, String> {
        match self.0.get(device) {
            Some(Ok(LabelArea::None)) | None => Ok(LabelSlots::NoArea),
            Some(Ok(LabelArea::Uninitialised)) => Ok(LabelSlots::Uninitialised),
            Some(Ok(LabelArea::Initialised(labels))) => Ok(LabelSlots::Free(labels.free_slots)),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// The modules of a region, with their labels: none where they cannot be read.
    pub(super) fn parts<'a>(&'a self, region: Region<'_>) -> Result<Vec<Part<'a>>, Source> {
        let part = |mapping: Mapping<'_>| {
            let device = mapping.dimm().device();
            let (module, area) = self.0.get_key_value(&device).ok_or("a module came up meanwhile")?;
            Ok(Part {
                module,
                start: mapping.start(),
                size: mapping.size(),
                labels: match area {
                    Ok(LabelArea::Initialised(labels)) => &labels.labels,
                    Ok(LabelArea::None | LabelArea::Uninitialised) | Err(_) => &[],
                },
            })
        };
        region.mappings()?.into_iter().map(part).collect()
    }
}

fn modules<'ctx>(regions: &[Region<'ctx>]) -> Result<BTreeMap<String, Dimm<'ctx>>, ndctl::Error> {
    let mut modules = BTreeMap::new();
    for region in regions {
        let dimms = region.mappings()?.into_iter().map(Mapping::dimm);
        modules.extend(dimms.map(|dimm| (dimm.device(), dimm)));
    }
    Ok(modules)
}
