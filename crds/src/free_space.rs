//! The free space of a node at this moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use placement::{Node, NumaNode, NumaWish, PendingVolume};

use crate::{Phase, PmemNodeStatus, PmemVolume};

/// All of a [`PmemVolume`] that matters to the free space of its node: small enough to keep tens of thousands of them.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeSpace {
    created: Option<Time>,
    name: Option<Box<str>>,
    refused: bool,
    contained_since: Option<i64>,
    pending: PendingVolume,
}

impl VolumeSpace {
    /// Whether the extents in `status` do not contain the volume yet, although it takes space. A refused volume takes none.
    ///
    /// The node publishes a namespace as soon as it is there. The volume says so only once its bytes are zero, and by then
    /// it may have been in the extents for long; and who watches both need not see them in this order. So what the node
    /// says of its namespaces counts as well: it comes with the extents, in one piece.
    #[must_use]
    pub fn is_pending(&self, status: &PmemNodeStatus) -> bool {
        let is_contained = || {
            self.contained_since
                .is_some_and(|first| first <= status.layout_revision)
        };
        let is_own = |name: &String| self.name.as_deref() == Some(name);
        let is_there = || status.regions.iter().flat_map(|region| &region.volumes).any(is_own);
        !self.refused && !is_contained() && !is_there()
    }

    /// What it takes while it is pending.
    #[must_use]
    pub fn pending(&self) -> &PendingVolume {
        &self.pending
    }

    /// The NUMA node that it is on or has to be on, as far as that is known: by its region among those that its node
    /// published, else by its spec.
    #[must_use]
    pub fn numa(&self, status: &PmemNodeStatus) -> Option<NumaNode> {
        let region = self.pending.region.as_ref();
        let region = region.and_then(|id| status.regions.iter().find(|region| region.id == *id));
        region
            .and_then(|region| region.numa_node)
            .or(match self.pending.request.numa {
                NumaWish::Node(numa) => Some(numa),
                NumaWish::Any | NumaWish::Together => None,
            })
    }

    /// Whether its node refused it: it takes no space and never will.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl From<&PmemVolume> for VolumeSpace {
    fn from(volume: &PmemVolume) -> Self {
        let status = volume.status.as_ref();
        Self {
            created: volume.metadata.creation_timestamp.clone(),
            name: volume.metadata.name.as_deref().map(Into::into),
            refused: status.is_some_and(|status| status.phase == Some(Phase::Refused)),
            contained_since: status.and_then(|status| status.layout_revision),
            pending: PendingVolume {
                request: volume.spec.request(),
                region: status.and_then(|status| status.region.clone()),
            },
        }
    }
}

/// The free space of a node: what it published, minus the volumes in `volumes` that are not in there yet, in the order
/// in which they were made. Volumes of other nodes must not be among them.
#[must_use]
pub fn free_space<'a>(status: &PmemNodeStatus, volumes: impl IntoIterator<Item = &'a PmemVolume>) -> Node {
    let volumes: Vec<VolumeSpace> = volumes.into_iter().map(VolumeSpace::from).collect();
    status.to_placement().with_pending(&pending_of(status, &volumes))
}

/// The volumes in `volumes` that are not in what the node published yet, in the order in which they were made.
#[must_use]
pub fn pending_of<'a>(
    status: &PmemNodeStatus,
    volumes: impl IntoIterator<Item = &'a VolumeSpace>,
) -> Vec<PendingVolume> {
    let mut pending: Vec<&VolumeSpace> = volumes.into_iter().filter(|volume| volume.is_pending(status)).collect();
    pending.sort_by(|a, b| (&a.created, &a.name).cmp(&(&b.created, &b.name)));
    pending.into_iter().map(|volume| volume.pending.clone()).collect()
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

    /// Revision 7, with these volumes in the one region.
    fn published(volumes: &[&str]) -> PmemNodeStatus {
        let region = serde_json::json!({
            "id": "r", "device": "region0", "bus": "emulated", "size": 64 << 20, "alignment": 2 << 20, "ways": 1,
            "persistenceDomain": "unknown", "state": "Ready", "volumes": volumes,
        });
        serde_json::from_value(serde_json::json!({ "layoutRevision": 7, "regions": [region] })).unwrap()
    }

    fn is_pending(phase: Option<Phase>, layout_revision: Option<i64>, volumes: &[&str]) -> bool {
        VolumeSpace::from(&volume(phase, layout_revision)).is_pending(&published(volumes))
    }

    #[test]
    fn pending_until_its_revision_is_published() {
        assert!(is_pending(None, None, &[]));
        assert!(is_pending(Some(Phase::Ready), Some(8), &[]));
        assert!(!is_pending(Some(Phase::Ready), Some(7), &[]));
        assert!(!is_pending(Some(Phase::Refused), None, &[]));
    }

    #[test]
    fn not_pending_once_the_node_shows_its_namespace() {
        assert!(is_pending(Some(Phase::Provisioning), None, &["w"]));
        assert!(!is_pending(Some(Phase::Provisioning), None, &["w", "v"]));
    }
}
