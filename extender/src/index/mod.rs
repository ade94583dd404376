//! What the cluster looks like, in memory: fed by watches, asked by the webhook.
//!
//! Everything here is synchronous. One pump per kind of object ([`pump`]) turns watch events into
//! [`Indexes::apply`], [`Indexes::delete`] and [`Indexes::reset`]. Only what a decision needs is kept of each object.

mod claim;
mod class;
mod clock;
mod kinds;
mod node_space;
mod nodes;
mod persistent_volume;
mod promises;
mod pump;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use placement::NumaNode;

use crate::ledger::Ledger;

use nodes::Nodes;

pub use claim::Claim;
pub use class::Class;
pub use clock::keep_time;
pub use node_space::NodeSpace;
pub use persistent_volume::VolumeOfOurs;
pub use pump::{Feed, watch_all};
pub use shared::SharedIndex;

/// Namespace and name of an object; the namespace is empty for those that have none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl ObjectKey {
    /// The object `name` in `namespace`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Who `object` is.
    pub fn of<K: kube::Resource>(object: &K) -> Self {
        let meta = object.meta();
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        Self {
            namespace: text(&meta.namespace),
            name: text(&meta.name),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names of the kinds say it all")]
pub enum Kind {
    PmemNode,
    PmemVolume,
    PersistentVolumeClaim,
    PersistentVolume,
    StorageClass,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PmemNode,
        Self::PmemVolume,
        Self::PersistentVolumeClaim,
        Self::PersistentVolume,
        Self::StorageClass,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What happens to objects of one kind.
pub trait Indexes<K> {
    /// Which kind.
    const KIND: Kind;
    /// The object is there, or has changed.
    fn apply(&mut self, object: &K);
    /// The object is gone.
    fn delete(&mut self, key: &ObjectKey);
    /// A list is complete: whatever is not in it is gone.
    fn reset(&mut self, listed: &HashSet<ObjectKey>);
}

/// What the cluster looks like.
#[derive(Debug, Default)]
pub struct Index {
    nodes: Nodes,
    /// The node of each volume.
    volumes: HashMap<Box<str>, Arc<str>>,
    claims: HashMap<ObjectKey, Claim>,
    /// Volumes of ours only, by the name of the `PersistentVolume`.
    persistent_volumes: HashMap<Box<str>, VolumeOfOurs>,
    classes: HashMap<Box<str>, Class>,
    /// The claims that are not bound, by unique id.
    unbound: HashMap<Arc<str>, ObjectKey>,
    ledger: Ledger,
    listed: BTreeSet<Kind>,
}

impl Index {
    /// The space of a node, if it published any.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeSpace> {
        self.nodes.get(name).filter(|node| node.is_published())
    }

    /// A claim, if it is known yet.
    #[must_use]
    pub fn claim(&self, key: &ObjectKey) -> Option<&Claim> {
        self.claims.get(key)
    }

    /// A class, ours or not, if it is known yet.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&Class> {
        self.classes.get(name)
    }

    /// The node that a `PersistentVolume` of ours is on.
    #[must_use]
    pub fn node_of_persistent_volume(&self, name: &str) -> Option<&str> {
        let volume = self.persistent_volumes.get(name)?;
        let by_volume = self.volumes.get(&volume.handle).map(AsRef::as_ref);
        by_volume.or(volume.node.as_deref())
    }

    /// The node that is making, or has made, the volume of a claim that is not bound yet.
    #[must_use]
    pub fn node_making(&self, claim: &Claim) -> Option<&str> {
        self.node_making_volume(&claim.name_of_volume()).map(AsRef::as_ref)
    }

    /// The NUMA node of the volume of a claim, bound or being made, as far as it is known.
    #[must_use]
    pub fn numa_of_volume_of(&self, claim: &Claim) -> Option<NumaNode> {
        let bound = claim.volume.as_ref().map(|name| self.persistent_volumes.get(name));
        let name = match bound {
            Some(volume) => volume?.handle.to_string(),
            None => claim.name_of_volume(),
        };
        self.nodes.get(self.volumes.get(&*name)?)?.numa_of(&name)
    }

    fn node_making_volume(&self, volume: &str) -> Option<&Arc<str>> {
        let (node, space) = self.nodes.get_named(self.volumes.get(volume)?)?;
        space.makes(volume).then_some(node)
    }

    /// All nodes that published their space, in no particular order.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeSpace)> {
        let nodes = self.nodes.iter().map(|(name, space)| (&**name, space));
        nodes.filter(|(_, space)| space.is_published())
    }

    /// Who was promised space that no volume takes yet.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether every kind was listed once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.listed.len() == Kind::ALL.len()
    }

    /// The kinds that were not listed yet.
    #[must_use]
    pub fn unlisted(&self) -> Vec<Kind> {
        Kind::ALL
            .into_iter()
            .filter(|kind| !self.listed.contains(kind))
            .collect()
    }
}
