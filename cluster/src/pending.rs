//! The free space of a node at this moment: what is shown of it, minus the volumes that are not in there yet.

use crds::{Phase, PmemNodeStatus, PmemVolume, RegionStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use placement::{Extent, Node, NumaNode, NumaWish, PendingVolume, RegionId};

/// What is shown of a node's regions.
#[derive(Clone, Copy, Debug)]
pub struct ShownRegions<'a> {
    regions: &'a [RegionStatus],
    /// The layout revision that was reported; none if the devices were listed just now.
    revision: Option<i64>,
}

impl<'a> ShownRegions<'a> {
    /// The regions as the devices show them at this moment: a namespace that is not among them does not exist.
    #[must_use]
    pub fn listed_now(regions: &'a [RegionStatus]) -> Self {
        Self {
            regions,
            revision: None,
        }
    }

    /// The free extents of the ready regions, minus those of `volumes` that are pending.
    #[must_use]
    pub fn free_space<'v>(self, volumes: impl IntoIterator<Item = &'v VolumeSpace>) -> Node {
        let (free, pending) = self.free_and_pending(volumes);
        free.with_pending(&pending)
    }

    /// The free extents of the ready regions without the pending ones of `volumes` whose place is known, and the others that are
    /// pending, in the order in which their node makes them. Where a volume is matters: what was between volumes and has gone
    /// since is in no report that is older.
    #[must_use]
    pub fn free_and_pending<'v>(
        self,
        volumes: impl IntoIterator<Item = &'v VolumeSpace>,
    ) -> (Node, Vec<PendingVolume>) {
        let mut free = self.to_placement();
        let mut pending: Vec<&VolumeSpace> = volumes.into_iter().filter(|volume| volume.is_pending(self)).collect();
        pending.sort_by(|a, b| a.order().cmp(&b.order()));
        pending.retain(|volume| !volume.is_taken_from(&mut free));
        (free, pending.into_iter().map(|volume| volume.pending.clone()).collect())
    }

    /// Whether a namespace is shown that is a living volume's of this name. One that is being erased belongs to an earlier volume of that
    /// name.
    #[must_use]
    pub fn has_made(self, volume: &str) -> bool {
        self.names(volume) && !self.erases(volume)
    }

    fn region(&self, id: &RegionId) -> Option<&'a RegionStatus> {
        self.regions.iter().find(|region| region.id == *id)
    }

    fn names(&self, volume: &str) -> bool {
        let mut names = self.regions.iter().flat_map(|region| &region.volumes);
        names.any(|name| name == volume)
    }

    fn erases(&self, volume: &str) -> bool {
        let mut erasing = self.regions.iter().flat_map(|region| &region.erasing);
        erasing.any(|erasing| erasing.name == volume)
    }

    /// Whether the node can make a namespace anew for a volume that was to be in this region: not while it cannot see
    /// whether there is one.
    fn can_look_into(&self, id: &RegionId) -> bool {
        self.region(id).is_some_and(|region| region.state.shows_namespaces())
    }

    fn to_placement(self) -> Node {
        RegionStatus::all_to_placement(self.regions)
    }
}

/// What a node reported some time ago.
impl<'a> From<&'a PmemNodeStatus> for ShownRegions<'a> {
    fn from(status: &'a PmemNodeStatus) -> Self {
        Self {
            regions: &status.regions,
            revision: Some(status.layout_revision),
        }
    }
}

/// The free space that the volumes of a node find, one after the other, in the order in which their node makes them: for each of
/// them what [`ShownRegions::free_space`] says of those before it, without beginning anew for each.
#[derive(Clone, Debug)]
pub struct SpaceInOrder<'a> {
    shown: ShownRegions<'a>,
    free: Node,
    /// Those that took something, all of which would have to be taken again.
    taken: Vec<VolumeSpace>,
}

impl<'a> SpaceInOrder<'a> {
    /// What the first one finds.
    #[must_use]
    pub fn new(shown: impl Into<ShownRegions<'a>>) -> Self {
        let shown = shown.into();
        Self {
            shown,
            free: shown.to_placement(),
            taken: Vec::new(),
        }
    }

    /// What the next one finds.
    #[must_use]
    pub fn free(&self) -> &Node {
        &self.free
    }

    /// Takes what the next volume takes while it is pending.
    pub fn take(&mut self, volume: VolumeSpace) {
        if !volume.is_pending(self.shown) {
            return;
        }
        let is_placed = volume.footprint.is_some();
        let pending = volume.pending.clone();
        self.taken.push(volume);
        if is_placed {
            // Those whose place is known come before all others.
            self.free = self.shown.free_space(&self.taken);
        } else {
            let _refused = self.free.make(&pending);
        }
    }
}

/// All of a [`PmemVolume`] that matters to the free space of its node: small enough to keep tens of thousands of them.
#[derive(Clone, Debug, PartialEq)]
pub struct VolumeSpace {
    created: Option<Time>,
    name: Box<str>,
    phase: Option<Phase>,
    is_deleted: bool,
    is_kept: bool,
    had_namespace: bool,
    contained_since: Option<i64>,
    footprint: Option<Extent>,
    pending: PendingVolume,
}

impl VolumeSpace {
    /// Whether the volume takes, or is going to take, bytes that the free extents in `shown` still contain.
    ///
    /// A node reports a namespace as soon as it is there. The volume says so only once its bytes are zero, and by then it
    /// may have been in the extents for long; and who watches both need not see them in this order. So the names that
    /// come with the extents count as well.
    #[must_use]
    pub fn is_pending<'a>(&self, shown: impl Into<ShownRegions<'a>>) -> bool {
        let shown = shown.into();
        let is_coming = self.gets_namespace() || self.may_have_namespace_since(shown);
        let is_contained = || self.is_contained(shown) || self.has_namespace(shown);
        is_coming && self.can_be_here(shown) && !is_contained()
    }

    fn is_contained(&self, shown: ShownRegions<'_>) -> bool {
        let revisions = self.contained_since.zip(shown.revision);
        revisions.is_some_and(|(first, shown)| first <= shown)
    }

    /// Whether a namespace is shown that is its own. A namespace outlives its object: what is being erased is its own if it is
    /// deleted.
    fn has_namespace(&self, shown: ShownRegions<'_>) -> bool {
        shown.has_made(&self.name) || (self.is_deleted && shown.erases(&self.name))
    }

    /// Whether its node will make a namespace for it if there is none: not for one that was deleted meanwhile, which is
    /// let go, nor for one that was ready before or whose object was made anew, whose data would silently be gone.
    fn gets_namespace(&self) -> bool {
        !self.is_deleted && !self.had_namespace && matches!(self.phase, None | Some(Phase::Provisioning))
    }

    /// Whether its node may have made a namespace after it reported `shown`. The node writes the phase first. One that was kept
    /// was in a report before its object was made anew; whoever wrote its phase, it was not the node that made it.
    fn may_have_namespace_since(&self, shown: ShownRegions<'_>) -> bool {
        let has_begun = matches!(self.phase, Some(Phase::Provisioning | Phase::Ready | Phase::Erasing));
        let is_only_said = self.is_kept && self.footprint.is_none();
        shown.revision.is_some() && has_begun && !is_only_said
    }

    /// Whether it can take any of the bytes in `shown`: not if its region is away. Its node waits for that then.
    fn can_be_here(&self, shown: ShownRegions<'_>) -> bool {
        let region = self.pending.region.as_ref();
        region.is_none_or(|id| shown.can_look_into(id))
    }

    /// Takes its extent out of the free space, if it is known.
    fn is_taken_from(&self, free: &mut Node) -> bool {
        let mut regions = free.regions.iter_mut();
        let region = regions.find(|region| Some(&region.id) == self.pending.region.as_ref());
        let Some((region, footprint)) = region.zip(self.footprint) else {
            return false;
        };
        region.take(footprint);
        true
    }

    /// What it takes while it is pending.
    #[must_use]
    pub fn pending(&self) -> &PendingVolume {
        &self.pending
    }

    /// The NUMA node that it is on or has to be on, as far as that is known: by its region among those that its node
    /// reported, else by its spec.
    #[must_use]
    pub fn numa(&self, status: &PmemNodeStatus) -> Option<NumaNode> {
        let region = self.pending.region.as_ref();
        let region = region.and_then(|id| ShownRegions::from(status).region(id));
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
        self.phase == Some(Phase::Refused)
    }

    /// Whether it is, or is going to be, a volume that can be used: neither refused nor deleted.
    #[must_use]
    pub fn stays(&self) -> bool {
        !self.is_refused() && !self.is_deleted
    }

    /// Whether its node makes it before `other`: the older one first, then by name.
    #[must_use]
    pub fn comes_before(&self, other: &Self) -> bool {
        self.order() < other.order()
    }

    /// What the order goes by in which its node makes volumes.
    #[must_use]
    pub fn order(&self) -> (&Option<Time>, &str) {
        (&self.created, &self.name)
    }
}

impl From<&PmemVolume> for VolumeSpace {
    fn from(volume: &PmemVolume) -> Self {
        let status = volume.status.as_ref();
        Self {
            created: volume.metadata.creation_timestamp.clone(),
            name: volume.metadata.name.as_deref().unwrap_or_default().into(),
            phase: status.and_then(|status| status.phase),
            is_deleted: volume.metadata.deletion_timestamp.is_some(),
            is_kept: volume.is_kept(),
            had_namespace: volume.had_namespace(),
            contained_since: status.and_then(|status| status.layout_revision),
            footprint: status.and_then(|status| status.footprint),
            pending: PendingVolume {
                request: volume.spec.request(),
                region: volume.region(),
            },
        }
    }
}

/// The free space of a node: the free extents that are shown of it, minus those of `volumes` that are pending, in the
/// order in which the node makes them. Volumes of other nodes must not be among them.
#[must_use]
pub fn free_space<'a, 'v>(
    shown: impl Into<ShownRegions<'a>>,
    volumes: impl IntoIterator<Item = &'v PmemVolume>,
) -> Node {
    let volumes: Vec<VolumeSpace> = volumes.into_iter().map(VolumeSpace::from).collect();
    shown.into().free_space(&volumes)
}

#[cfg(test)]
mod tests;
