//! The space of all nodes by their names, side by side in memory: each pod asks thousands of them, and most of that is
//! waiting for memory. With a `HashMap` from names to spaces, a filter call with 5,000 names takes 3.5 ms of processor
//! time instead of 1.2 (docs/scheduling.md).

use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::NodeSpace;

#[derive(Debug, Default)]
pub(super) struct NodeTable {
    spaces: Vec<NodeSpace>,
    names: Names,
    /// The positions of the nodes, by the hashes of their names.
    positions: HashTable<usize>,
    hasher: RandomState,
}

/// The names of all nodes in one text: to compare a name with one that is alone somewhere in memory takes longer than
/// anything else that is done to find it.
#[derive(Debug, Default)]
struct Names {
    text: String,
    /// Where the name of the node at each position is.
    parts: Vec<Range<usize>>,
}

impl NodeTable {
    pub(super) fn get(&self, name: &str) -> Option<&NodeSpace> {
        Some(&self.spaces[self.position(name)?])
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut NodeSpace> {
        let position = self.position(name)?;
        Some(&mut self.spaces[position])
    }

    pub(super) fn put(&mut self, name: &str, space: NodeSpace) {
        if let Some(known) = self.get_mut(name) {
            *known = space;
            return;
        }
        self.names.push(name);
        self.spaces.push(space);
        self.enter(self.spaces.len() - 1);
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(position) = self.position(name) else { return };
        let last = self.spaces.len() - 1;
        self.leave(position);
        if position != last {
            self.leave(last);
        }
        self.spaces.swap_remove(position);
        self.names.swap_remove(position);
        if position != last {
            self.enter(position);
        }
    }

    /// In no particular order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.spaces.len()).map(|position| self.names.at(position))
    }

    fn position(&self, name: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(name);
        let is_named = |position: &usize| self.names.at(*position) == name;
        self.positions.find(hash, is_named).copied()
    }

    /// The node at `position` can be found from now on.
    fn enter(&mut self, position: usize) {
        let (names, hasher) = (&self.names, &self.hasher);
        let hash = |position: &usize| hasher.hash_one(names.at(*position));
        self.positions.insert_unique(hash(&position), position, hash);
    }

    /// The node at `position` cannot be found any more.
    fn leave(&mut self, position: usize) {
        let hash = self.hasher.hash_one(self.names.at(position));
        if let Ok(entry) = self.positions.find_entry(hash, |other| *other == position) {
            entry.remove();
        }
    }
}

impl Names {
    fn at(&self, position: usize) -> &str {
        &self.text[self.parts[position].clone()]
    }

    fn push(&mut self, name: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        self.parts.push(start..self.text.len());
    }

    /// Names that are no more stay in the text until half of it is of no use.
    fn swap_remove(&mut self, position: usize) {
        self.parts.swap_remove(position);
        let used: usize = self.parts.iter().map(Range::len).sum();
        if used < self.text.len() / 2 {
            let mut anew = Self::default();
            for position in 0..self.parts.len() {
                anew.push(self.at(position));
            }
            *self = anew;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::index::Index;
    use crate::testing::node;
    use placement::Bytes;
    use proptest::prelude::*;

    fn space(mib: u32) -> NodeSpace {
        let mut index = Index::default();
        index.put_node("n", node("n", 1, &[&[(0, mib)]]).status.as_ref());
        NodeSpace::new(index.node("n").unwrap(), std::iter::empty()).unwrap()
    }

    /// Nodes are told apart by their free space.
    fn free(space: &NodeSpace) -> Bytes {
        space.free().node().regions[0].free[0].size
    }

    proptest! {
        /// Nodes come and go, and each name leads to its own node.
        #[test]
        fn names_lead_to_their_nodes(steps in prop::collection::vec((1_u32..8, any::<bool>()), 1..60)) {
            let (mut nodes, mut expected) = (NodeTable::default(), BTreeMap::new());
            for (mib, comes) in steps {
                let name = format!("n{mib}");
                if comes {
                    expected.insert(name.clone(), Bytes::mib(mib));
                    nodes.put(&name, space(mib));
                } else {
                    expected.remove(&name);
                    nodes.remove(&name);
                }
                let all: BTreeMap<_, _> =
                    nodes.names().map(|name| (name.to_owned(), free(nodes.get(name).unwrap()))).collect();
                prop_assert_eq!(&all, &expected);
            }
        }
    }
}
