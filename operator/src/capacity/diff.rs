//! The writes that make the objects that exist the objects that should.

use std::collections::BTreeMap;

use crate::capacity_object::{Capacity, PublishedCapacity};

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Creates an object.
    Create(Capacity),
    /// Changes the bytes or the owner of an object that still has this version.
    Update {
        /// What it says afterwards.
        to: Capacity,
        /// Its uid.
        uid: String,
        /// The version that the index has.
        resource_version: String,
    },
    /// Deletes an object that still has this version.
    Delete {
        /// Its name.
        name: String,
        /// The name of its node; none if its topology does not name one.
        node: Option<String>,
        /// Its uid.
        uid: String,
        /// The version that the index has.
        resource_version: String,
    },
}

/// The fewest writes that turn `existing` into `desired`. What `is_doubted`, by its name, is written although it seems to be as it
/// should: the answer tells whether it is there.
///
/// Node and class of an object cannot change. An object that is not as we write it is deleted; the next comparison finds
/// that it is missing and creates it.
#[must_use]
pub fn diff<'a>(
    desired: Vec<Capacity>,
    existing: impl IntoIterator<Item = (&'a String, &'a PublishedCapacity)>,
    is_doubted: impl Fn(&str) -> bool,
) -> Vec<Change> {
    let mut desired: BTreeMap<String, Capacity> = desired.into_iter().map(|c| (c.name(), c)).collect();
    let mut changes = Vec::new();
    for (name, published) in existing {
        match (desired.remove(name), &published.capacity) {
            (Some(to), Some(capacity)) if to == *capacity && !is_doubted(name) => {}
            (Some(to), Some(_)) => changes.push(published.update(to)),
            (_, None) | (None, Some(_)) => changes.push(published.delete(name)),
        }
    }
    changes.extend(desired.into_values().map(Change::Create));
    changes
}

impl Change {
    /// The name of the node of the object; none if its topology does not name one.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Create(to) | Self::Update { to, .. } => Some(&to.node),
            Self::Delete { node, .. } => node.as_deref(),
        }
    }
}

impl PublishedCapacity {
    fn update(&self, to: Capacity) -> Change {
        Change::Update {
            to,
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
        }
    }

    fn delete(&self, name: &str) -> Change {
        Change::Delete {
            name: name.into(),
            node: self.node.clone(),
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
        }
    }
}
