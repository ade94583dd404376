//! The kinds of objects in the index, and what a change of each means for it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crds::{DRIVER_NAME, PmemNode, PmemVolume};
use k8s_openapi::api::storage::v1::{CSIStorageCapacity, StorageClass};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Class, Index};
use crate::capacity_object::PublishedCapacity;

/// A kind of objects that is in the index.
pub trait IndexedKind: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static {
    /// Takes in an object that was added or changed.
    fn apply(self, index: &mut Index);
    /// Takes in that an object was deleted.
    fn delete(&self, index: &mut Index);
    /// Takes in a complete list: what is not in it does not exist.
    fn reset(index: &mut Index, objects: Vec<Self>);
}

impl IndexedKind for PmemNode {
    fn apply(self, index: &mut Index) {
        let name = self.name_any();
        index.nodes.insert(name.clone(), self);
        index.mark_dirty([name]);
    }

    fn delete(&self, index: &mut Index) {
        index.nodes.remove(&self.name_any());
        index.mark_dirty([self.name_any()]);
    }

    fn reset(index: &mut Index, objects: Vec<Self>) {
        index.mark_all_dirty();
        index.nodes.replace(by_name(objects));
        index.mark_all_dirty();
    }
}

impl IndexedKind for PmemVolume {
    fn apply(self, index: &mut Index) {
        let nodes = index.volumes.apply(self.name_any(), self);
        index.mark_dirty(nodes);
    }

    fn delete(&self, index: &mut Index) {
        let nodes = index.volumes.delete(&self.name_any());
        index.mark_dirty(nodes);
    }

    fn reset(index: &mut Index, objects: Vec<Self>) {
        let nodes = index.volumes.reset(by_name(objects));
        index.mark_dirty(nodes);
    }
}

/// Classes of other provisioners are left out.
impl IndexedKind for StorageClass {
    fn apply(self, index: &mut Index) {
        let name = self.name_any();
        let class = (self.provisioner == DRIVER_NAME).then(|| Class::of(&self));
        let same = index.classes.get(&name) == class.as_ref();
        match class {
            Some(class) => index.classes.insert(name, class),
            None => index.classes.remove(&name),
        };
        if !same {
            index.mark_all_dirty();
        }
    }

    fn delete(&self, index: &mut Index) {
        if index.classes.remove(&self.name_any()).is_some() {
            index.mark_all_dirty();
        }
    }

    fn reset(index: &mut Index, objects: Vec<Self>) {
        let ours = objects.into_iter().filter(|class| class.provisioner == DRIVER_NAME);
        index
            .classes
            .replace(ours.map(|class| (class.name_any(), Class::of(&class))).collect());
        index.mark_all_dirty();
    }
}

impl IndexedKind for CSIStorageCapacity {
    fn apply(self, index: &mut Index) {
        let nodes = index.capacities.apply(self.name_any(), PublishedCapacity::of(&self));
        index.mark_dirty(nodes);
    }

    fn delete(&self, index: &mut Index) {
        let node = index.capacities.delete(&self.name_any());
        index.mark_dirty(node);
    }

    fn reset(index: &mut Index, objects: Vec<Self>) {
        let objects = objects
            .iter()
            .map(|object| (object.name_any(), PublishedCapacity::of(object)));
        let nodes = index.capacities.reset(objects.collect());
        index.mark_dirty(nodes);
    }
}

fn by_name<K: ResourceExt>(objects: Vec<K>) -> BTreeMap<String, K> {
    objects.into_iter().map(|object| (object.name_any(), object)).collect()
}
