//! Volumes that were there, and whose namespaces are gone without having been erased: somebody wrote over the label areas, or firmware
//! did. Their bytes are still there, and come back with the labels.

use std::collections::BTreeMap;

use crds::PmemVolume;
use placement::{Extent, RegionId};

use crate::devices::{Inventory, Mark, Owner, Stage};

/// Where volumes were, as long as this process has seen them.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<(RegionId, String), Extent>);

impl Seen {
    /// Takes note of the volumes that are there.
    pub(super) fn look(&mut self, inventory: &Inventory) {
        for namespace in &inventory.namespaces {
            if let Owner::Ours(Mark {
                volume,
                stage: Stage::HandedOut | Stage::InUse,
            }) = namespace.owner()
            {
                let place = (namespace.region.clone(), volume.to_owned());
                self.0.insert(place, namespace.extent);
            }
        }
    }

    /// A volume that was in a region, and some of whose bytes are free and `unknown`: nobody erased it.
    pub(super) fn vanished(&mut self, region: &RegionId, unknown: &[Extent], inventory: &Inventory) -> Option<String> {
        // What was erased is known to be zero, or somebody else has it since.
        self.0.retain(|(of, volume), extent| {
            of != region || is_there(inventory, volume) || unknown.iter().any(|unknown| unknown.overlaps(*extent))
        });
        let mut here = self.0.keys().filter(|(of, _)| of == region);
        here.find(|(_, volume)| !is_there(inventory, volume))
            .map(|(_, volume)| volume.clone())
    }
}

/// One of these that was in a region, and is not there, as its object says.
pub(super) fn missing<'a>(
    objects: impl IntoIterator<Item = &'a PmemVolume>,
    region: &RegionId,
    inventory: &Inventory,
) -> Option<&'a str> {
    let mut here = objects.into_iter().filter(|object| was_in(object, region));
    let name = |object: &'a PmemVolume| object.metadata.name.as_deref();
    here.find(|object| name(object).is_some_and(|name| !is_there(inventory, name)))
        .and_then(name)
}

fn was_in(object: &PmemVolume, region: &RegionId) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.footprint.is_some() && status.region.as_ref() == Some(region))
}

/// Also if its mark cannot be read, or was never made.
fn is_there(inventory: &Inventory, volume: &str) -> bool {
    !matches!(inventory.of_volume(volume), Ok(None)) || inventory.unmarked(volume).next().is_some()
}

#[cfg(test)]
mod tests {
    use placement::Bytes;

    use super::*;
    use crate::devices::{Attach, Devices, Emulated, NewNamespace};

    #[test]
    fn what_was_there_and_is_free_without_having_been_erased_vanished() {
        let folder = tempfile::tempdir().unwrap();
        let devices = Emulated::open(folder.path(), &["64Mi@0".parse().unwrap()], Attach::Nothing).unwrap();
        let region = RegionId("emulated-0".into());
        let footprint = Bytes::mib(16);
        let volume = "v".to_owned();
        let new = NewNamespace {
            volume,
            region: region.clone(),
            footprint,
        };
        devices.create(&new).unwrap();
        devices.mark("v", Stage::HandedOut).unwrap();
        let (with, mut seen) = (devices.inventory().unwrap(), Seen::default());
        seen.look(&with);
        let empty = Inventory {
            namespaces: Vec::new(),
            ..with.clone()
        };
        let extent = with.namespaces[0].extent;
        assert_eq!(seen.vanished(&region, &[], &with), None);
        assert_eq!(seen.vanished(&region, &[extent], &empty).as_deref(), Some("v"));
        let another = RegionId("another".into());
        assert_eq!(seen.vanished(&another, &[extent], &empty), None);
        // It was erased.
        assert_eq!(seen.vanished(&region, &[], &empty), None);
        assert_eq!(seen.vanished(&region, &[extent], &empty), None);
    }
}
