//! How each kind of object changes the index.

use std::collections::HashSet;
use std::sync::Arc;

use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::{Claim, Class, Index, Indexes, Kind, ObjectKey, VolumeOfOurs};

impl Indexes<PmemNode> for Index {
    const KIND: Kind = Kind::PmemNode;

    fn apply(&mut self, object: &PmemNode) {
        let name = ObjectKey::of(object).name;
        self.make_known(&name);
        if let Some(space) = self.nodes.get_mut(&name) {
            space.publish(object.status.as_ref());
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(space) = self.nodes.get_mut(&key.name) {
            space.publish(None);
            self.nodes.forget(&key.name);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let gone = |name: &str| !listed.contains(&ObjectKey::new("", name));
        let names = self.nodes.iter().map(|(name, _)| name);
        let gone: Vec<ObjectKey> = names
            .filter(|name| gone(name))
            .map(|name| ObjectKey::new("", name))
            .collect();
        for key in &gone {
            Indexes::<PmemNode>::delete(self, key);
        }
        self.listed.insert(Kind::PmemNode);
    }
}

impl Indexes<PmemVolume> for Index {
    const KIND: Kind = Kind::PmemVolume;

    fn apply(&mut self, object: &PmemVolume) {
        let name = ObjectKey::of(object).name;
        let moved = self.volumes.get(&name).is_some_and(|node| **node != *object.spec.node);
        if moved {
            // The same name, made anew on another node while nobody looked.
            self.forget_volume(&name);
        }
        let node = self.make_known(&object.spec.node);
        if let Some(space) = self.nodes.get_mut(&node) {
            space.add(&name, object);
        }
        self.volumes.insert(name.clone(), node);
        self.follow_volume(&name);
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.forget_volume(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let gone = |name: &str| !listed.contains(&ObjectKey::new("", name));
        let gone: Vec<Box<str>> = self.volumes.keys().filter(|name| gone(name)).cloned().collect();
        for name in gone {
            self.forget_volume(&name);
        }
        self.listed.insert(Kind::PmemVolume);
    }
}

impl Indexes<PersistentVolumeClaim> for Index {
    const KIND: Kind = Kind::PersistentVolumeClaim;

    fn apply(&mut self, object: &PersistentVolumeClaim) {
        let (key, claim) = (ObjectKey::of(object), Claim::from(object));
        let uid = claim.uid.clone();
        let before = self.claims.insert(key.clone(), claim);
        if let Some(before) = before.filter(|before| before.uid != uid) {
            self.forget_claim(&before.uid);
        }
        self.follow(&key);
    }

    fn delete(&mut self, key: &ObjectKey) {
        if let Some(claim) = self.claims.remove(key) {
            self.forget_claim(&claim.uid);
        }
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let gone: Vec<ObjectKey> = self
            .claims
            .keys()
            .filter(|key| !listed.contains(key))
            .cloned()
            .collect();
        for key in &gone {
            Indexes::<PersistentVolumeClaim>::delete(self, key);
        }
        self.listed.insert(Kind::PersistentVolumeClaim);
    }
}

impl Indexes<PersistentVolume> for Index {
    const KIND: Kind = Kind::PersistentVolume;

    fn apply(&mut self, object: &PersistentVolume) {
        let name = ObjectKey::of(object).name;
        if let Some(volume) = VolumeOfOurs::of(object) {
            self.persistent_volumes.insert(name, volume);
        } else {
            self.persistent_volumes.remove(&name);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.persistent_volumes.remove(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let keep = |name: &str| listed.contains(&ObjectKey::new("", name));
        self.persistent_volumes.retain(|name, _| keep(name));
        self.listed.insert(Kind::PersistentVolume);
    }
}

impl Indexes<StorageClass> for Index {
    const KIND: Kind = Kind::StorageClass;

    fn apply(&mut self, object: &StorageClass) {
        let (name, class) = (ObjectKey::of(object).name, Class::from(object));
        let before = self.classes.insert(name.clone(), class);
        if before.as_ref() != self.classes.get(&name) {
            self.follow_class(&name);
        }
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.classes.remove(&key.name);
        self.follow_class(&key.name);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        let gone = |name: &str| !listed.contains(&ObjectKey::new("", name));
        let gone: Vec<Box<str>> = self.classes.keys().filter(|name| gone(name)).cloned().collect();
        for name in &gone {
            Indexes::<StorageClass>::delete(self, &ObjectKey::new("", name));
        }
        self.listed.insert(Kind::StorageClass);
    }
}

impl Index {
    /// The one copy of the name of a node. One that was not known yet is told what is promised on it.
    fn make_known(&mut self, node: &str) -> Arc<str> {
        let (name, new) = self.nodes.add(node);
        if new {
            self.refresh_node(&name);
        }
        name
    }

    fn forget_volume(&mut self, volume: &str) {
        let Some(node) = self.volumes.remove(volume) else {
            return;
        };
        let Some(space) = self.nodes.get_mut(&node) else {
            return;
        };
        space.remove(volume);
        self.nodes.forget(&node);
        self.follow_volume(volume);
    }
}
