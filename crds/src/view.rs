//! The free space of a node at this moment.

use placement::{Node, Pending};

use crate::{Phase, PmemNodeStatus, PmemVolume};

/// The free space of a node: what it published, minus the volumes in `volumes` that are not in there yet, in the order
/// in which they were made. Volumes of other nodes must not be among them.
#[must_use]
pub fn free_view<'a>(status: &PmemNodeStatus, volumes: impl IntoIterator<Item = &'a PmemVolume>) -> Node {
    let mut pending: Vec<&PmemVolume> = volumes
        .into_iter()
        .filter(|v| is_pending(v, status.layout_revision))
        .collect();
    pending.sort_by_key(|volume| (volume.metadata.creation_timestamp.clone(), volume.metadata.name.clone()));
    let pending: Vec<Pending> = pending.into_iter().map(to_pending).collect();
    status.to_placement().free_view(&pending)
}

/// Whether the extents that a node published as `layout_revision` do not contain the volume yet, although it takes space.
///
/// A refused volume takes none.
#[must_use]
pub fn is_pending(volume: &PmemVolume, layout_revision: i64) -> bool {
    let status = volume.status.as_ref();
    let refused = status.is_some_and(|status| status.phase == Some(Phase::Refused));
    let contained = status
        .and_then(|status| status.layout_revision)
        .is_some_and(|first| first <= layout_revision);
    !refused && !contained
}

fn to_pending(volume: &PmemVolume) -> Pending {
    let region = volume.status.as_ref().and_then(|status| status.region.clone());
    Pending {
        want: volume.spec.want(),
        region,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PmemVolumeStatus;

    fn volume(phase: Option<Phase>, layout_revision: Option<i64>) -> PmemVolume {
        let spec = serde_json::json!({ "node": "n", "required": 1, "mode": "fsdax" });
        let mut volume = PmemVolume::new("v", serde_json::from_value(spec).unwrap());
        volume.status = Some(PmemVolumeStatus {
            phase,
            layout_revision,
            ..Default::default()
        });
        volume
    }

    #[test]
    fn pending_until_the_node_published_it() {
        assert!(is_pending(&volume(None, None), 7));
        assert!(is_pending(&volume(Some(Phase::Ready), Some(8)), 7));
        assert!(!is_pending(&volume(Some(Phase::Ready), Some(7)), 7));
        assert!(!is_pending(&volume(Some(Phase::Refused), None), 7));
    }
}
