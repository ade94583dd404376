//! The `PmemVolumes`, by name and by node, and those whose space is reserved.

use std::collections::{BTreeMap, BTreeSet};

use cluster::version::is_older;
use crds::PmemVolume;

use super::store::Store;

/// The `PmemVolumes`, by name and by node.
///
/// A reserved volume is one that was decided on and is being written: its space is reserved until the watch shows it, or
/// the writer releases it. Two calls at the same time thus never count on the same bytes.
#[derive(Debug, Default)]
pub struct Volumes {
    store: Store<PmemVolume>,
    by_node: BTreeMap<String, BTreeSet<String>>,
    reserved: BTreeMap<String, PmemVolume>,
}

impl Volumes {
    /// Whether the watch has completed a list.
    pub fn synced(&self) -> bool {
        self.store.synced()
    }

    /// The volume of that name, as the watch last showed it.
    pub fn get(&self, name: &str) -> Option<&PmemVolume> {
        self.store.get(name)
    }

    /// The volume of that name, reserved or shown by the watch.
    pub fn newest(&self, name: &str) -> Option<&PmemVolume> {
        self.reserved.get(name).or_else(|| self.store.get(name))
    }

    /// All volumes that the watch has shown, by name.
    pub fn iter(&self) -> impl Iterator<Item = &PmemVolume> {
        self.store.iter().map(|(_, volume)| volume)
    }

    /// The nodes of all volumes that the watch has shown.
    pub fn node_names(&self) -> impl Iterator<Item = &str> {
        self.by_node.keys().map(String::as_str)
    }

    /// The volumes of a node that the watch has shown, by name.
    pub fn shown_of_node<'a>(&'a self, node: &str) -> impl Iterator<Item = (&'a String, &'a PmemVolume)> {
        let names = self.by_node.get(node).into_iter().flatten();
        names.filter_map(|name| Some((name, self.store.get(name)?)))
    }

    /// All volumes of a node, reserved ones included.
    pub fn of_node<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a PmemVolume> {
        let shown = self.shown_of_node(node).map(|(_, volume)| volume);
        let reserved = self.reserved.values();
        shown.chain(reserved.filter(move |volume| volume.spec.node == node))
    }

    /// Takes in a volume that the watch shows; its reservation ends. Returns the nodes whose free space may have changed.
    pub fn apply(&mut self, name: String, volume: PmemVolume) -> BTreeSet<String> {
        let mut touched = BTreeSet::from([volume.spec.node.clone()]);
        touched.extend(self.reserved.remove(&name).map(|volume| volume.spec.node));
        touched.extend(self.remove(&name));
        self.by_node
            .entry(volume.spec.node.clone())
            .or_default()
            .insert(name.clone());
        self.store.insert(name, volume);
        touched
    }

    /// Takes in a volume that the API server returned, unless the watch has shown a newer version. Returns the nodes whose
    /// free space may have changed.
    pub fn refresh(&mut self, name: &str, volume: PmemVolume) -> BTreeSet<String> {
        let newer = self.store.get(name).is_some_and(|shown| {
            shown.metadata.uid == volume.metadata.uid && is_older(&shown.metadata, &volume.metadata)
        });
        if newer {
            self.apply(name.into(), volume)
        } else {
            BTreeSet::new()
        }
    }

    /// Takes in that a volume was deleted. Returns its node. A reserved volume of the same name is another volume, and
    /// stays.
    pub fn delete(&mut self, name: &str) -> Option<String> {
        self.remove(name)
    }

    /// A list is complete: removes all volumes whose name is not in it. Returns the nodes that have volumes, or had some
    /// before. Reserved volumes stay.
    pub fn retain(&mut self, listed: &BTreeSet<&str>) -> BTreeSet<String> {
        let touched = self.by_node.keys().cloned().collect();
        for names in self.by_node.values_mut() {
            names.retain(|name| listed.contains(name.as_str()));
        }
        self.by_node.retain(|_, names| !names.is_empty());
        self.store.retain(listed);
        touched
    }

    /// Reserves the space of a volume. Returns its node.
    pub fn reserve(&mut self, name: String, volume: PmemVolume) -> String {
        let node = volume.spec.node.clone();
        self.reserved.insert(name, volume);
        node
    }

    /// A reserved volume was written, unless the watch has shown it by now.
    pub fn reserved_is(&mut self, name: &str, volume: PmemVolume) {
        if let Some(reserved) = self.reserved.get_mut(name) {
            *reserved = volume;
        }
    }

    /// Ends the reservation of a volume. Returns its node, unless the watch has shown the volume by now.
    pub fn release(&mut self, name: &str) -> Option<String> {
        self.reserved.remove(name).map(|volume| volume.spec.node)
    }

    fn remove(&mut self, name: &str) -> Option<String> {
        let node = self.store.remove(name)?.spec.node;
        if let Some(names) = self.by_node.get_mut(&node) {
            names.remove(name);
            if names.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(node)
    }
}
