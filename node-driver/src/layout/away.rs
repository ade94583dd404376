//! What regions held that are not shown now.

use std::collections::BTreeMap;
use std::sync::Arc;

use placement::RegionId;

use super::Listing;
use crate::devices::Inventory;

/// For each region whose namespaces were shown once and are not shown now: what was listed when they were shown last.
///
/// Without, a volume there that the cluster has forgotten, too, would be made a second time on another node, and its pod would
/// find that one empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Away(BTreeMap<RegionId, Arc<Inventory>>);

impl Away {
    /// What is away in the listing `now`, which follows `before`.
    #[must_use]
    pub fn after(before: &Listing, now: &Inventory) -> Self {
        let shown_before = before
            .inventory
            .regions
            .iter()
            .filter(|region| region.state.shows_namespaces());
        let listed_before = shown_before.map(|region| (region.id.clone(), Arc::clone(&before.inventory)));
        let mut last_shown = before.away.0.clone();
        last_shown.extend(listed_before);
        last_shown.retain(|id, _| !is_shown(now, id));
        Self(last_shown)
    }

    /// What was listed when the namespaces of `region` were shown last; none if they are shown now, or never were.
    #[must_use]
    pub fn last_shown(&self, region: &RegionId) -> Option<&Inventory> {
        self.0.get(region).map(AsRef::as_ref)
    }
}

fn is_shown(inventory: &Inventory, id: &RegionId) -> bool {
    let region = inventory.region(id);
    region.is_some_and(|region| region.state.shows_namespaces())
}
