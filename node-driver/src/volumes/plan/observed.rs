//! What the next step of a volume depends on.

use crds::{Phase, PmemVolume, PmemVolumeStatus, RegionState};
use placement::{Node, RegionId};

use super::blocked::Blocked;
use crate::devices::{Inventory, Namespace};
use crate::volumes::zero::byte_state::{ByteState, Location};

/// What the next step of one volume depends on.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The object, as it was last written or heard of.
    pub volume: &'a PmemVolume,
    /// The devices, as they were listed.
    pub inventory: &'a Inventory,
    /// The ready regions without the space of volumes that come before this one.
    pub free: &'a Node,
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

    pub(super) fn recorded_region(&self) -> Option<&'a RegionId> {
        self.status()?.region.as_ref()
    }

    /// The one namespace of the volume's name, if there is one.
    pub(super) fn namespace(&self) -> Result<Option<&'a Namespace>, Blocked> {
        let found: Vec<&Namespace> = self.inventory.named(self.name()).collect();
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(Blocked::Ambiguous {
                name: self.name().into(),
                count: found.len(),
            }),
        }
    }

    /// Fails if the inventory would not show a namespace in the recorded region: a namespace that cannot be seen may exist.
    pub(super) fn shows_recorded_region(&self) -> Result<(), Blocked> {
        let Some(id) = self.recorded_region() else {
            return Ok(());
        };
        let region = self.inventory.region(id);
        let message = match region {
            None => "the kernel does not show it: is a module missing?",
            Some(region) if region.state.shows_namespaces() => return Ok(()),
            Some(region) => &region.message,
        };
        Err(Blocked::RegionAway {
            region: id.clone(),
            message: message.into(),
        })
    }

    /// Where the namespace is. Fails if that is not the recorded region, or if the region must not be written to.
    pub(super) fn writable(&self, namespace: &Namespace) -> Result<Location, Blocked> {
        if let Some(recorded) = self.recorded_region().filter(|id| **id != namespace.region) {
            return Err(Blocked::WrongRegion {
                device: namespace.device.clone(),
                found: namespace.region.clone(),
                recorded: recorded.clone(),
            });
        }
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
