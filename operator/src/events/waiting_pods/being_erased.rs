//! What a pod that waits may get once it is erased.

use cluster::SpaceRequirements;
use crds::ErasingVolume;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// What will be free first, and about when: of the nodes that will do for the pod, and no smaller than the smallest of its claims. None
/// if nobody knows. To the minute, so that it seldom changes.
#[must_use]
pub fn being_erased(
    space: &SpaceRequirements,
    erasing: impl IntoIterator<Item = (String, ErasingVolume)>,
) -> Option<String> {
    let smallest = space.requests().iter().map(|request| request.required).min()?;
    let may_do = |(node, volume): &(String, ErasingVolume)| {
        volume.progress.total >= smallest && space.reason_against(node).is_none()
    };
    let ends = erasing.into_iter().filter(may_do).filter_map(|(node, volume)| {
        let over_at = volume.over_at.filter(|_| volume.message.is_empty())?.0;
        Some((over_at, node, volume.progress.total))
    });
    let (over_at, node, total) = ends.min()?;
    let over_at = minute(over_at)?.strftime("%F %H:%M");
    Some(format!(
        "{total} on node {node} are being erased until about {over_at} UTC"
    ))
}

fn minute(time: Timestamp) -> Option<Timestamp> {
    let up = TimestampRound::new().smallest(Unit::Minute).mode(RoundMode::Ceil);
    time.round(up).ok()
}
