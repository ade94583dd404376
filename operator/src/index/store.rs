//! Objects of one kind by name.

use std::collections::{BTreeMap, BTreeSet};

/// Objects of one kind by name. It is not `synced` before the first complete list: until then, that an object is
/// missing means nothing.
#[derive(Debug)]
pub struct Store<V> {
    objects: BTreeMap<String, V>,
    synced: bool,
}

impl<V> Default for Store<V> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            synced: false,
        }
    }
}

impl<V> Store<V> {
    /// Whether the watch has completed a list.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// The object of that name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.objects.get(name)
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.objects.iter()
    }

    /// Puts in an object. Returns the one of that name that it replaces.
    pub fn insert(&mut self, name: String, object: V) -> Option<V> {
        self.objects.insert(name, object)
    }

    /// Takes out the object of that name.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        self.objects.remove(name)
    }

    /// A list is complete: removes all objects whose name is not in it.
    pub fn retain(&mut self, listed: &BTreeSet<&str>) {
        self.synced = true;
        self.objects.retain(|name, _| listed.contains(name.as_str()));
    }
}
