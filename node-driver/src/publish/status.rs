//! The status of a PmemNode.

use crds::{NodeTotals, PmemNodeStatus, RegionState, RegionStatus};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::conditions::{Says, with};
use crate::layout::Seen;

/// The status that should follow `before`, or none while nothing was seen. A look that failed changes conditions only.
#[must_use]
pub fn next_status(
    before: &PmemNodeStatus,
    seen: &Seen,
    backend: &str,
    is_ours: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Option<PmemNodeStatus> {
    let mut status = before.clone();
    if let Some(look) = &seen.last {
        status.regions = look.inventory.to_status(|namespace| is_ours(&namespace.name));
        status.layout_revision = look.revision;
        status.totals = totals(&status.regions);
        status.backend = backend.into();
    } else {
        seen.error.as_ref()?;
    }
    status.conditions = conditions(&before.conditions, &status.regions, seen.error.as_deref(), now);
    Some(status)
}

fn totals(regions: &[RegionStatus]) -> NodeTotals {
    let free = || regions.iter().flat_map(|region| &region.free).map(|extent| extent.size);
    NodeTotals {
        size: regions.iter().map(|region| region.size).sum(),
        free: free().sum(),
        largest: free().max().unwrap_or_default(),
    }
}

fn conditions(before: &[Condition], regions: &[RegionStatus], error: Option<&str>, now: Timestamp) -> Vec<Condition> {
    let ready = error.map_or_else(|| ready(regions), listing_failed);
    with(&with(before, &ready, now), &prepared(regions), now)
}

fn listing_failed(error: &str) -> Says {
    Says {
        kind: "Ready",
        holds: false,
        reason: "ListingFailed",
        message: format!("regions and free extents are those of the last look that succeeded: {error}"),
    }
}

fn ready(regions: &[RegionStatus]) -> Says {
    let ready = regions
        .iter()
        .filter(|region| region.state == RegionState::Ready)
        .count();
    let unprepared = regions.iter().any(|region| region.state == RegionState::Unprepared);
    let (reason, message) = match (ready, unprepared) {
        _ if regions.is_empty() => ("NoRegions", "the kernel shows no region of persistent memory".into()),
        (0, true) => ("RegionsUnprepared", messages(regions, |_| true)),
        (0, false) => ("NoRegionReady", messages(regions, |_| true)),
        (ready, _) => ("RegionsReady", format!("{ready} of {} regions ready", regions.len())),
    };
    Says {
        kind: "Ready",
        holds: ready > 0,
        reason,
        message,
    }
}

fn prepared(regions: &[RegionStatus]) -> Says {
    let message = messages(regions, |region| region.state == RegionState::Unprepared);
    let holds = message.is_empty();
    Says {
        kind: "Prepared",
        holds,
        reason: if holds { "RegionsPrepared" } else { "RegionsUnprepared" },
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
