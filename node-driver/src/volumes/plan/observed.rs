//! What the next step of a volume depends on.

use crds::{Phase, PmemVolume, PmemVolumeStatus, RegionState};
use placement::RegionId;

use super::blocked::Blocked;
use super::step::Step;
use crate::devices::{Inventory, Namespace, Stage, Unclear};
use crate::volumes::zero::byte_state::{ByteState, Location};

/// What the next step of one volume depends on.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object, as it was last written or heard of.
    pub volume: &'a PmemVolume,
    /// The devices, as they were listed.
    pub inventory: &'a Inventory,
    /// What this process knows about its bytes.
    pub bytes: &'a ByteState,
}

impl<'a> Observed<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.volume.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn status(&self) -> Option<&'a PmemVolumeStatus> {
        self.volume.status.as_ref()
    }

    pub(super) fn phase(&self) -> Option<Phase> {
        self.status()?.phase
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.volume.metadata.deletion_timestamp.is_some()
    }

    /// The namespace that has the volume's mark, and how far it has come, if there is one.
    pub(super) fn namespace(&self) -> Result<Option<(&'a Namespace, Stage)>, Blocked> {
        self.inventory.of_volume(self.name()).map_err(|unclear| match unclear {
            Unclear::Several { count } => Blocked::Ambiguous {
                name: self.name().into(),
                count,
            },
            Unclear::Newer { label } => Blocked::Newer { label },
        })
    }

    /// What has to happen first to a namespace that went into quarantine while it was the volume's, if its mark may be lost.
    pub(super) fn quarantine_first(&self) -> Result<Option<Step>, Blocked> {
        let unrecorded = self.inventory.unrecorded_quarantine(self.name());
        let step = unrecorded.map(|namespace| {
            self.writable(namespace)?;
            Ok(Step::Mark(Stage::Quarantined))
        });
        step.transpose()
    }

    /// The namespace of a volume that was made before there were marks: the one with its name at the place that its status
    /// records. A stranger's namespace of the same name is at another.
    pub(super) fn earlier(&self) -> Option<&'a Namespace> {
        let status = self.status()?;
        let place = status.region.as_ref().zip(status.footprint)?;
        let mut unmarked = self.inventory.unmarked(self.name());
        unmarked.find(|namespace| (&namespace.region, namespace.extent) == place)
    }

    /// Whether it is recorded that its namespace is made in this region.
    pub(super) fn is_made_in(&self, region: &RegionId) -> bool {
        self.being_made_in() == Some(region)
    }

    /// The region in which its namespace is made, once that is recorded.
    fn being_made_in(&self) -> Option<&'a RegionId> {
        let status = self.status().filter(|status| status.phase == Some(Phase::Provisioning));
        status?.region.as_ref()
    }

    /// Whether no region was chosen for it yet.
    pub(super) fn has_no_region(&self) -> bool {
        self.being_made_in().is_none()
    }

    /// Fails if a namespace of the volume may be there that cannot be seen. One that was kept was in some region, if nobody knows
    /// in which.
    pub(super) fn shows_its_region(&self) -> Result<(), Blocked> {
        if self.volume.is_kept() && self.volume.region().is_none() {
            self.shows_all_regions()?;
        }
        self.shows_recorded_region()
    }

    /// Fails if a region may hide a namespace.
    pub(super) fn shows_all_regions(&self) -> Result<(), Blocked> {
        let mut regions = self.inventory.regions.iter();
        match regions.find(|region| !region.state.shows_namespaces()) {
            None => Ok(()),
            Some(hidden) => Err(Blocked::RegionAway {
                region: hidden.id.clone(),
                message: hidden.message.clone(),
            }),
        }
    }

    /// Fails if a namespace of the volume may be there after a reboot that the kernel does not show now.
    pub(super) fn has_no_unseen(&self) -> Result<(), Blocked> {
        let Some(id) = self.inventory.region_of_unseen(self.name()) else {
            return Ok(());
        };
        let region = self.inventory.region(id);
        Err(Blocked::RegionAway {
            region: id.clone(),
            message: region.map_or_else(String::new, |region| region.message.clone()),
        })
    }

    /// Fails if the inventory would not show a namespace in the recorded region: a namespace that cannot be seen may exist.
    pub(super) fn shows_recorded_region(&self) -> Result<(), Blocked> {
        let Some(id) = self.volume.region() else {
            return Ok(());
        };
        let region = self.inventory.region(&id);
        let message = match region {
            None => "the kernel does not show it: is a module missing?",
            Some(region) if region.state.shows_namespaces() => return Ok(()),
            Some(region) => &region.message,
        };
        let message = message.into();
        Err(Blocked::RegionAway { region: id, message })
    }

    /// Where the namespace is. Fails if the region must not be written to.
    pub(super) fn writable(&self, namespace: &Namespace) -> Result<Location, Blocked> {
        let region = self.inventory.region(&namespace.region);
        match region.map(|region| region.state) {
            // What is there can be finished and erased although the label area is full.
            Some(RegionState::Ready | RegionState::Degraded) => Ok(Location::of(namespace)),
            None
            | Some(
                RegionState::Unprepared
                | RegionState::ReadOnly
                | RegionState::Disabled
                | RegionState::Misaligned
                | RegionState::NotSeen,
            ) => Err(Blocked::RegionNotReady {
                region: namespace.region.clone(),
                message: region.map_or_else(String::new, |region| region.message.clone()),
            }),
        }
    }
}
