//! The `PmemVolumes`, by name and by node, and those that are being written at this moment.

use std::collections::{BTreeMap, BTreeSet};

use crds::PmemVolume;

use super::store::Store;
use super::version::is_older;

/// The `PmemVolumes`, by name and by node.
///
/// An assumed volume is one that was decided on and is being written: it takes its space until the watch shows it, or
/// the writer gives it up. Two calls at the same time thus never count on the same bytes.
#[derive(Debug, Default)]
pub struct Volumes {
    store: Store<PmemVolume>,
    by_node: BTreeMap<String, BTreeSet<String>>,
    assumed: BTreeMap<String, PmemVolume>,
}

impl Volumes {
    /// Whether a complete list has been seen.
    pub fn synced(&self) -> bool {
        self.store.synced()
    }

    /// The volume of that name, as the watch last showed it.
    pub fn get(&self, name: &str) -> Option<&PmemVolume> {
        self.store.get(name)
    }

    /// The volume of that name, be it only that it is being written.
    pub fn newest(&self, name: &str) -> Option<&PmemVolume> {
        self.assumed.get(name).or_else(|| self.store.get(name))
    }

    /// All volumes that the watch has shown, by name.
    pub fn iter(&self) -> impl Iterator<Item = &PmemVolume> {
        self.store.iter().map(|(_, volume)| volume)
    }

    /// All volumes of a node, those that are being written among them.
    pub fn of_node<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a PmemVolume> {
        let names = self.by_node.get(node).into_iter().flatten();
        let assumed = self.assumed.values();
        names
            .filter_map(|name| self.store.get(name))
            .chain(assumed.filter(move |volume| volume.spec.node == node))
    }

    /// Takes in what the watch shows. Returns the nodes it matters to.
    pub fn apply(&mut self, name: String, volume: PmemVolume) -> BTreeSet<String> {
        let mut touched = BTreeSet::from([volume.spec.node.clone()]);
        touched.extend(self.assumed.remove(&name).map(|assumed| assumed.spec.node));
        touched.extend(self.forget(&name));
        self.by_node
            .entry(volume.spec.node.clone())
            .or_default()
            .insert(name.clone());
        self.store.insert(name, volume);
        touched
    }

    /// Takes in an answer of the API server, unless the watch has shown something newer.
    pub fn refresh(&mut self, name: &str, volume: PmemVolume) -> BTreeSet<String> {
        let newer = self.store.get(name).is_some_and(|known| {
            known.metadata.uid == volume.metadata.uid && is_older(&known.metadata, &volume.metadata)
        });
        if newer {
            self.apply(name.into(), volume)
        } else {
            BTreeSet::new()
        }
    }

    /// Takes in that the volume is gone. Returns the node it matters to. One of the same name that is being written is
    /// another volume, and stays.
    pub fn delete(&mut self, name: &str) -> Option<String> {
        self.forget(name)
    }

    /// Exactly these exist. Returns the nodes it matters to.
    pub fn reset(&mut self, volumes: BTreeMap<String, PmemVolume>) -> BTreeSet<String> {
        let mut touched: BTreeSet<String> = self.by_node.keys().cloned().collect();
        self.assumed.retain(|name, _| !volumes.contains_key(name));
        self.by_node.clear();
        for (name, volume) in &volumes {
            self.by_node
                .entry(volume.spec.node.clone())
                .or_default()
                .insert(name.clone());
        }
        self.store.replace(volumes);
        touched.extend(self.by_node.keys().cloned());
        touched
    }

    /// A volume is being written. Returns its node.
    pub fn assume(&mut self, name: String, volume: PmemVolume) -> String {
        let node = volume.spec.node.clone();
        self.assumed.insert(name, volume);
        node
    }

    /// It is not being written any more. Returns the node it matters to, if the watch has not shown it by now.
    pub fn give_up(&mut self, name: &str) -> Option<String> {
        self.assumed.remove(name).map(|volume| volume.spec.node)
    }

    fn forget(&mut self, name: &str) -> Option<String> {
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
