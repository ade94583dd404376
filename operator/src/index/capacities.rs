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
    /// The versions that our own writes returned: the watch may still show older ones.
    written: BTreeMap<String, u64>,
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
        if let Some(version) = number(&object.resource_version) {
            self.written.insert(name.clone(), version);
        }
        self.put(name, object)
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

    /// Takes in that an object was deleted. Returns its node.
    pub fn delete(&mut self, name: &str) -> Option<String> {
        self.written.remove(name);
        self.take_out(name)
    }

    fn take_out(&mut self, name: &str) -> Option<String> {
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
        matches!(numbers, (Some(event), Some(written)) if event <= *written)
    }
}

fn is_older(one: &PublishedCapacity, other: &PublishedCapacity) -> bool {
    let numbers = (number(&one.resource_version), number(&other.resource_version));
    matches!(numbers, (Some(one), Some(other)) if one < other)
}
