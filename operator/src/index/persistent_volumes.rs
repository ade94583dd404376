//! The `PersistentVolumes` of ours, by name and by the id of their volume.

use std::collections::{BTreeMap, BTreeSet};

use cluster::VolumeOfOurs;
use crds::{DRIVER_NAME, PARAMETER_PREFIX, VolumeMode, bytes_of_quantity};
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume};
use kube::ResourceExt;
use placement::{Bytes, RegionId};

use super::store::Store;

/// All of a `PersistentVolume` of ours that matters when the object of its volume is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedVolume {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Volume and node that it names.
    pub volume: VolumeOfOurs,
    /// Its usable bytes, if they can be read.
    pub capacity: Option<Bytes>,
    /// What CreateVolume said about the mode of the volume.
    pub mode: Option<VolumeMode>,
    /// What CreateVolume said about the region of the volume.
    pub region: Option<RegionId>,
    /// The claim that it is bound to, or was.
    pub claim: Option<ObjectReference>,
    /// external-provisioner asks for the deletion of the volume, again and again until it succeeds.
    pub is_released_for_deletion: bool,
}

impl NamedVolume {
    /// None for a volume of another driver.
    #[must_use]
    pub fn of(object: &PersistentVolume) -> Option<Self> {
        let volume = VolumeOfOurs::of(object)?;
        let spec = object.spec.as_ref()?;
        let capacity = spec.capacity.as_ref().and_then(|capacity| capacity.get("storage"));
        Some(Self {
            name: object.name_any(),
            uid: object.uid().unwrap_or_default(),
            volume,
            capacity: capacity.and_then(|capacity| bytes_of_quantity(capacity).ok()),
            mode: attribute(object, "mode").and_then(|mode| serde_json::from_value(mode.into()).ok()),
            region: attribute(object, "region").map(|region| RegionId(region.into())),
            claim: spec.claim_ref.clone(),
            is_released_for_deletion: is_released_for_deletion(object),
        })
    }
}

/// As [`crate::controller`] puts it into the volume context.
fn attribute<'a>(object: &'a PersistentVolume, name: &str) -> Option<&'a str> {
    let csi = object.spec.as_ref()?.csi.as_ref();
    let attributes = csi
        .filter(|csi| csi.driver == DRIVER_NAME)?
        .volume_attributes
        .as_ref()?;
    attributes.get(&format!("{PARAMETER_PREFIX}{name}")).map(String::as_str)
}

/// `shouldDelete` of sig-storage-lib-external-provisioner.
fn is_released_for_deletion(object: &PersistentVolume) -> bool {
    let phase = object.status.as_ref().and_then(|status| status.phase.as_deref());
    let policy = object
        .spec
        .as_ref()
        .and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref());
    matches!(phase, Some("Released" | "Failed")) && policy == Some("Delete")
}

/// The `PersistentVolumes` of ours.
#[derive(Debug, Default)]
pub struct PersistentVolumes {
    store: Store<NamedVolume>,
    by_volume: BTreeMap<Box<str>, BTreeSet<String>>,
}

impl PersistentVolumes {
    /// Whether the watch has completed a list.
    pub fn synced(&self) -> bool {
        self.store.synced()
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&NamedVolume> {
        self.store.get(name)
    }

    /// The one that says that it is for the claim with this unique id.
    pub fn of_claim(&self, claim: &str) -> Option<&NamedVolume> {
        let is_for_it = |of: &NamedVolume| of.claim.as_ref().and_then(|of| of.uid.as_deref()) == Some(claim);
        let mut all = self.store.iter().map(|(_, volume)| volume);
        all.find(|volume| is_for_it(volume))
    }

    /// Those that name the volume with this id.
    pub fn of_volume<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a NamedVolume> {
        let names = self.by_volume.get(volume).into_iter().flatten();
        names.filter_map(|name| self.store.get(name))
    }

    /// Takes one in; none if it is not ours.
    pub fn apply(&mut self, name: &str, object: Option<NamedVolume>) {
        self.remove(name);
        if let Some(object) = object {
            let handle = object.volume.handle.clone();
            self.by_volume.entry(handle).or_default().insert(name.into());
            self.store.insert(name.into(), object);
        }
    }

    /// Takes in that one is gone.
    pub fn remove(&mut self, name: &str) {
        let Some(object) = self.store.remove(name) else {
            return;
        };
        let handle = object.volume.handle;
        if let Some(names) = self.by_volume.get_mut(&handle) {
            names.remove(name);
            if names.is_empty() {
                self.by_volume.remove(&handle);
            }
        }
    }

    /// A list is complete: removes all whose name is not in it.
    pub fn retain(&mut self, listed: &BTreeSet<&str>) {
        for names in self.by_volume.values_mut() {
            names.retain(|name| listed.contains(name.as_str()));
        }
        self.by_volume.retain(|_, names| !names.is_empty());
        self.store.retain(listed);
    }
}
