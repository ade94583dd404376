//! All nodes by their names, side by side in memory: each pod asks thousands of them, and most of that is waiting for memory.

use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::NodeSpace;

/// All nodes by their names.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    spaces: Vec<(Arc<str>, NodeSpace)>,
    names: Names,
    /// The places of the nodes, by the hashes of their names.
    places: HashTable<usize>,
    hasher: RandomState,
}

/// The names of all nodes once more, in one text: to compare a name with one that is alone somewhere in memory takes
/// longer than anything else that is done to look it up.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Where the name of the node at each place is.
    parts: Vec<Range<usize>>,
}

impl Nodes {
    pub(super) fn get(&self, name: &str) -> Option<&NodeSpace> {
        Some(&self.spaces[self.place(name)?].1)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut NodeSpace> {
        let place = self.place(name)?;
        Some(&mut self.spaces[place].1)
    }

    /// The one copy of a name that others may keep, and the node.
    pub(super) fn get_named(&self, name: &str) -> Option<(&Arc<str>, &NodeSpace)> {
        let (name, space) = &self.spaces[self.place(name)?];
        Some((name, space))
    }

    /// The one copy of a name that others may keep, and whether it is new: of a node that nothing is known about.
    pub(super) fn add(&mut self, name: &str) -> (Arc<str>, bool) {
        if let Some((name, _)) = self.get_named(name) {
            return (name.clone(), false);
        }
        let name: Arc<str> = name.into();
        self.names.push(&name);
        self.spaces.push((name.clone(), NodeSpace::default()));
        self.enter(self.spaces.len() - 1);
        (name, true)
    }

    /// Drops the node, if it is there and nothing is known about it.
    pub(super) fn forget(&mut self, name: &str) {
        let forgotten = self.place(name).filter(|place| self.spaces[*place].1.is_forgotten());
        let Some(place) = forgotten else { return };
        let last = self.spaces.len() - 1;
        self.leave(place);
        if place != last {
            self.leave(last);
        }
        self.spaces.swap_remove(place);
        self.names.swap_remove(place);
        if place != last {
            self.enter(place);
        }
    }

    /// In no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &NodeSpace)> {
        self.spaces.iter().map(|(name, space)| (name, space))
    }

    fn place(&self, name: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(name);
        self.places.find(hash, |place| self.names.at(*place) == name).copied()
    }

    /// The node at `place` can be found from now on.
    fn enter(&mut self, place: usize) {
        let (names, hasher) = (&self.names, &self.hasher);
        let hash = |place: &usize| hasher.hash_one(names.at(*place));
        self.places.insert_unique(hash(&place), place, hash);
    }

    /// The node at `place` cannot be found any more.
    fn leave(&mut self, place: usize) {
        let hash = self.hasher.hash_one(self.names.at(place));
        if let Ok(entry) = self.places.find_entry(hash, |other| *other == place) {
            entry.remove();
        }
    }
}

impl Names {
    fn at(&self, place: usize) -> &str {
        &self.text[self.parts[place].clone()]
    }

    fn push(&mut self, name: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        self.parts.push(start..self.text.len());
    }

    /// Names that are no more stay in the text until half of it is of no use.
    fn swap_remove(&mut self, place: usize) {
        self.parts.swap_remove(place);
        let used: usize = self.parts.iter().map(Range::len).sum();
        if used < self.text.len() / 2 {
            let mut anew = Self::default();
            for place in 0..self.parts.len() {
                anew.push(self.at(place));
            }
            *self = anew;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::node;
    use placement::Bytes;
    use proptest::prelude::*;

    /// Nodes are told apart by their free space.
    fn free(space: &NodeSpace) -> Bytes {
        space.view().unwrap().node().regions[0].free[0].size
    }

    proptest! {
        /// Nodes come and go, and each name leads to its own node.
        #[test]
        fn names_lead_to_their_nodes(steps in prop::collection::vec((1_u32..8, any::<bool>()), 1..60)) {
            let (mut nodes, mut expected) = (Nodes::default(), BTreeMap::new());
            for (mib, comes) in steps {
                let name = format!("n{mib}");
                if comes {
                    let new = nodes.add(&name).1;
                    prop_assert_eq!(new, expected.insert(name.clone(), Bytes::mib(mib)).is_none());
                    nodes.get_mut(&name).unwrap().publish(node(&name, 1, &[&[(0, mib)]]).status.as_ref());
                } else if expected.remove(&name).is_some() {
                    nodes.forget(&name);
                    prop_assert!(nodes.get(&name).is_some(), "it is not forgotten as long as something is known about it");
                    nodes.get_mut(&name).unwrap().publish(None);
                    nodes.forget(&name);
                }
                let all: BTreeMap<_, _> = nodes.iter().map(|(name, space)| (name.to_string(), free(space))).collect();
                prop_assert_eq!(&all, &expected);
                prop_assert!(expected.iter().all(|(name, mib)| free(nodes.get(name).unwrap()) == *mib));
            }
        }
    }
}
