//! The status of a PmemNode.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{
    ErasingVolume, ForeignNamespaces, KeptVolume, NodeTotals, PmemNodeStatus, PmemVolume, READY, RegionState,
    RegionStatus,
};
use jiff::Timestamp;
use placement::RegionId;

use crate::conditions::{NewCondition, set};
use crate::devices::{Inventory, Namespace};
use crate::layout::{Away, LastListing, Listing};
use crate::volumes::UnknownBytes;

/// What is known of volumes beside what the devices show.
#[derive(Clone, Copy, Debug)]
pub struct KnownVolumes<'a> {
    /// The objects of this node.
    pub objects: &'a [Arc<PmemVolume>],
    /// How far erasures have come.
    pub erasing: &'a BTreeMap<String, ErasingVolume>,
    /// Which free bytes may hold something.
    pub unknown: &'a UnknownBytes,
}

impl KnownVolumes<'_> {
    /// The regions that follow `before`, also those that the kernel does not show any more.
    fn regions(self, before: &[RegionStatus], listing: &Listing) -> Vec<RegionStatus> {
        let mut regions = listing.inventory.to_status(|namespace| self.is_earlier(namespace));
        regions.extend(vanished(before, &listing.inventory));
        for region in &mut regions {
            region.to_zero = self.unknown.get(&region.id).copied();
            if !region.state.shows_namespaces() {
                region.kept = kept_unseen(before, &listing.away, &region.id);
            }
            region.kept.retain(|kept| self.object(&kept.name).is_none());
            for erasing in &mut region.erasing {
                if let Some(further) = self.erasing.get(&erasing.name) {
                    erasing.progress.done = further.progress.done;
                    erasing.over_at.clone_from(&further.over_at);
                    erasing.message.clone_from(&further.message);
                }
            }
        }
        regions
    }

    /// Whether a namespace without a mark is a volume: its object says that it is at this place.
    fn is_earlier(self, namespace: &Namespace) -> bool {
        let status = self.object(&namespace.name).and_then(|object| object.status.as_ref());
        let place = status.and_then(|status| status.region.as_ref().zip(status.footprint));
        place == Some((&namespace.region, namespace.extent))
    }

    fn object(&self, name: &str) -> Option<&PmemVolume> {
        let mut objects = self.objects.iter();
        let found = objects.find(|object| object.metadata.name.as_deref() == Some(name));
        found.map(AsRef::as_ref)
    }
}

/// The status that follows `before`, or none before the first listing. A listing that failed changes conditions only.
#[must_use]
pub fn next_status(
    before: &PmemNodeStatus,
    last: &LastListing,
    backend: &str,
    known: KnownVolumes<'_>,
    now: Timestamp,
) -> Option<PmemNodeStatus> {
    let mut status = before.clone();
    if let Some(listing) = &last.listing {
        status.regions = known.regions(&before.regions, listing);
        status.layout_revision = listing.revision;
        status.totals = totals(&status.regions);
        status.backend = backend.into();
    } else {
        last.error.as_ref()?;
    }
    let nothing = last.listing.as_ref().map_or("", |listing| &listing.inventory.nothing);
    let ready = last
        .error
        .as_deref()
        .map_or_else(|| ready(&status.regions, nothing), listing_failed);
    status.conditions = set(&set(&before.conditions, &ready, now), &prepared(&status.regions), now);
    Some(status)
}

/// The regions that the kernel does not show any more, and that may hold volumes. Without them, a volume in one would look as if
/// it were nowhere.
fn vanished<'a>(before: &'a [RegionStatus], shown: &'a Inventory) -> impl Iterator<Item = RegionStatus> + 'a {
    let is_away = |region: &&RegionStatus| shown.region(&region.id).is_none();
    before
        .iter()
        .filter(is_away)
        .filter(|region| may_hold_volumes(region))
        .map(away)
}

fn may_hold_volumes(region: &RegionStatus) -> bool {
    let holds = !(region.volumes.is_empty() && region.kept.is_empty() && region.erasing.is_empty());
    holds || region.state == RegionState::NotSeen
}

fn away(region: &RegionStatus) -> RegionStatus {
    RegionStatus {
        state: RegionState::NotSeen,
        message: format!(
            "the kernel does not show {} any more, which held volumes: is a module missing? If it was taken out for good, delete \
             the claims of its volumes, and this PmemNode while no driver runs on the node",
            region.device
        ),
        free: Vec::new(),
        to_zero: None,
        volumes: Vec::new(),
        kept: Vec::new(),
        erasing: Vec::new(),
        quarantine: Vec::new(),
        foreign: ForeignNamespaces::default(),
        ..region.clone()
    }
}

/// The volumes in a region that is not shown in which somebody may have data: as it was shown last, or else as it was reported
/// before this process began. One that nobody used is worth nothing, and its claim need not wait for the region.
fn kept_unseen(before: &[RegionStatus], away: &Away, region: &RegionId) -> Vec<KeptVolume> {
    let reported = || before.iter().find(|reported| reported.id == *region).cloned();
    let last = away
        .last_shown(region)
        .map_or_else(reported, |shown| shown.region_status(region));
    let kept = last.map(|last| last.kept).unwrap_or_default();
    kept.into_iter().filter(|kept| !kept.unused).collect()
}

fn totals(regions: &[RegionStatus]) -> NodeTotals {
    let free = || regions.iter().flat_map(|region| &region.free).map(|extent| extent.size);
    NodeTotals {
        size: regions.iter().map(|region| region.size).sum(),
        free: free().sum(),
        largest: free().max().unwrap_or_default(),
    }
}

fn listing_failed(error: &str) -> NewCondition {
    NewCondition {
        kind: READY,
        is_true: false,
        reason: "ListingFailed",
        message: format!("regions and free extents are those of the last listing that succeeded: {error}"),
    }
}

fn ready(regions: &[RegionStatus], nothing: &str) -> NewCondition {
    let ready = regions
        .iter()
        .filter(|region| region.state == RegionState::Ready)
        .count();
    let unprepared = regions.iter().any(|region| region.state == RegionState::Unprepared);
    let (reason, message) = match (ready, unprepared) {
        _ if regions.is_empty() => ("NoRegions", nothing.to_owned()),
        (0, true) => ("RegionsUnprepared", messages(regions, |_| true)),
        (0, false) => ("NoRegionReady", messages(regions, |_| true)),
        (ready, _) => ("RegionsReady", format!("{ready} of {} regions ready", regions.len())),
    };
    NewCondition {
        kind: READY,
        is_true: ready > 0,
        reason,
        message,
    }
}

fn prepared(regions: &[RegionStatus]) -> NewCondition {
    let message = messages(regions, |region| region.state == RegionState::Unprepared);
    let is_true = message.is_empty();
    NewCondition {
        kind: "Prepared",
        is_true,
        reason: if is_true {
            "RegionsPrepared"
        } else {
            "RegionsUnprepared"
        },
        message,
    }
}

fn messages(regions: &[RegionStatus], which: impl Fn(&RegionStatus) -> bool) -> String {
    let chosen = regions.iter().filter(|region| which(region));
    let texts: Vec<&str> = chosen.map(|region| region.message.as_str()).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests;
