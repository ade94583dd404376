//! Our CSIStorageCapacity objects, by name and by node.

use std::collections::{BTreeMap, BTreeSet};

use cluster::version::number;

use super::store::Store;
use crate::capacity_object::PublishedCapacity;

/// Our CSIStorageCapacity objects, by name and by node. Those that name no node are under the node "".
#[derive(Debug, Default)]
pub struct Capacities {
    store: Store<PublishedCapacity>,
    by_node: BTreeMap<String, BTreeSet<String>>,
    /// What our own writes returned and the watch has not shown yet: it may still show older versions.
    written: BTreeMap<String, Written>,
}

/// A version that a write of ours returned.
#[derive(Debug)]
struct Written {
    version: u64,
    /// The watch should have shown it by now: it may be gone.
    is_doubted: bool,
}

impl Capacities {
    /// Whether the watch has completed a list.
    pub fn synced(&self) -> bool {
        self.store.synced()
    }

    /// The nodes that have objects.
    pub fn nodes(&self) -> impl Iterator<Item = &String> {
        self.by_node.keys()
    }

    /// The objects of a node.
    pub fn of_node<'a>(&'a self, node: &'a str) -> impl Iterator<Item = (&'a String, &'a PublishedCapacity)> {
        let names = self.by_node.get(node).into_iter().flatten();
        names.filter_map(|name| Some((name, self.store.get(name)?)))
    }

    /// Takes in an object that a write of ours returned, unless the watch has shown a newer version: another operator may have
    /// written since. Returns the nodes whose objects changed.
    pub fn apply_written(&mut self, name: String, object: PublishedCapacity) -> BTreeSet<String> {
        if self.store.get(&name).is_some_and(|shown| is_older(&object, shown)) {
            return BTreeSet::new();
        }
        let version = number(&object.resource_version).filter(|_| !self.is_shown(&name, &object));
        let touched = self.put(name.clone(), object);
        if let Some(version) = version {
            let is_doubted = false;
            self.written.insert(name, Written { version, is_doubted });
        }
        touched
    }

    fn is_shown(&self, name: &str, object: &PublishedCapacity) -> bool {
        self.store.get(name) == Some(object) && !self.written.contains_key(name)
    }

    /// The versions that our own writes returned and the watch has not shown yet, by name.
    pub fn unshown(&self) -> BTreeMap<String, u64> {
        let written = self.written.iter();
        written.map(|(name, written)| (name.clone(), written.version)).collect()
    }

    /// Doubts those that the watch has not shown by now in these versions or later: it may have shown their end before the answer
    /// to our write came, and never tells it again. Returns their nodes.
    pub fn doubt(&mut self, unshown: &BTreeMap<String, u64>) -> BTreeSet<String> {
        let mut nodes = BTreeSet::new();
        for (name, written) in &mut self.written {
            if unshown.get(name) == Some(&written.version) {
                written.is_doubted = true;
                nodes.extend(self.store.get(name).and_then(|object| object.node.clone()));
            }
        }
        nodes
    }

    /// Whether the object may be gone.
    pub fn is_doubted(&self, name: &str) -> bool {
        self.written.get(name).is_some_and(|written| written.is_doubted)
    }

    /// A list begins, which shows the cluster as it is.
    pub fn forget_written(&mut self) {
        self.written.clear();
    }

    /// Takes in an object that the watch shows, unless a write of ours returned a newer version of it. Returns the nodes whose
    /// objects changed.
    pub fn apply(&mut self, name: String, object: PublishedCapacity) -> BTreeSet<String> {
        let stored = self.store.get(&name).filter(|stored| stored.uid == object.uid);
        if stored.is_some() && self.is_stale(&name, &object) {
            return BTreeSet::new();
        }
        self.put(name, object)
    }

    fn put(&mut self, name: String, object: PublishedCapacity) -> BTreeSet<String> {
        let mut touched: BTreeSet<String> = self.take_out(&name).into_iter().collect();
        let node = object.node.clone().unwrap_or_default();
        self.by_node.entry(node.clone()).or_default().insert(name.clone());
        self.store.insert(name, object);
        touched.insert(node);
        touched
    }

    /// Takes in that the watch shows the end of an object. Returns its node.
    pub fn delete(&mut self, name: &str) -> Option<String> {
        self.take_out(name)
    }

    /// Takes in that the object with this uid is gone, as the answer to a write of ours says: the watch may have shown the next of
    /// that name by now, and never shows it again. Returns its node.
    pub fn ended(&mut self, name: &str, uid: &str) -> Option<String> {
        let is_known = self.store.get(name).is_some_and(|known| known.uid == uid);
        is_known.then(|| self.take_out(name)).flatten()
    }

    fn take_out(&mut self, name: &str) -> Option<String> {
        self.written.remove(name);
        let node = self.store.remove(name)?.node.unwrap_or_default();
        if let Some(names) = self.by_node.get_mut(&node) {
            names.remove(name);
            if names.is_empty() {
                self.by_node.remove(&node);
            }
        }
        Some(node)
    }

    /// A list is complete: removes all objects whose name is not in it. Returns the nodes that have objects, or had some
    /// before.
    pub fn retain(&mut self, listed: &BTreeSet<&str>) -> BTreeSet<String> {
        let touched = self.by_node.keys().cloned().collect();
        for names in self.by_node.values_mut() {
            names.retain(|name| listed.contains(name.as_str()));
        }
        self.by_node.retain(|_, names| !names.is_empty());
        self.store.retain(listed);
        // One that was written while the list was made is shown anew, from its first version on.
        self.written.retain(|name, _| listed.contains(name.as_str()));
        touched
    }

    fn is_stale(&self, name: &str, event: &PublishedCapacity) -> bool {
        let numbers = (number(&event.resource_version), self.written.get(name));
        matches!(numbers, (Some(event), Some(written)) if event < written.version)
    }
}

fn is_older(one: &PublishedCapacity, other: &PublishedCapacity) -> bool {
    let numbers = (number(&one.resource_version), number(&other.resource_version));
    matches!(numbers, (Some(one), Some(other)) if one < other)
}
