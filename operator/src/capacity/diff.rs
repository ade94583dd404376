//! What to write so that what exists is what should.

use std::collections::BTreeMap;

use super::{Capacity, Published};

/// One object to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Make it.
    Create(Capacity),
    /// Change its bytes or owner, if it is still the version that was seen.
    Update {
        /// What it should say.
        to: Capacity,
        /// Its uid.
        uid: String,
        /// The version that was seen.
        resource_version: String,
    },
    /// Delete it, if it is still the version that was seen.
    Delete {
        /// Its name.
        name: String,
        /// The node that it is about, if it says.
        node: Option<String>,
        /// Its uid.
        uid: String,
        /// The version that was seen.
        resource_version: String,
    },
}

/// The fewest writes that make `existing` say what is `desired`; none if it does.
///
/// Node and class of an object cannot change. One that is not as we write it is deleted here; once it is gone, it is
/// missing and made anew.
#[must_use]
pub fn diff<'a>(
    desired: Vec<Capacity>,
    existing: impl IntoIterator<Item = (&'a String, &'a Published)>,
) -> Vec<Change> {
    let mut desired: BTreeMap<String, Capacity> = desired.into_iter().map(|c| (c.name(), c)).collect();
    let mut changes = Vec::new();
    for (name, published) in existing {
        match (desired.remove(name), &published.says) {
            (Some(to), Some(says)) if to == *says => {}
            (Some(to), Some(_)) => changes.push(published.update(to)),
            (_, None) | (None, Some(_)) => changes.push(published.delete(name)),
        }
    }
    changes.extend(desired.into_values().map(Change::Create));
    changes
}

impl Change {
    /// The node that it is about.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Create(to) | Self::Update { to, .. } => Some(&to.node),
            Self::Delete { node, .. } => node.as_deref(),
        }
    }
}

impl Published {
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
