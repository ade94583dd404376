//! The nodes as one pod sees them: what was promised to its own claims is not in its way.

use std::collections::HashMap;

use placement::Prepared;

use super::Needs;
use crate::index::Index;

/// The nodes as one pod sees them.
#[derive(Debug)]
pub struct Views<'a> {
    /// What everybody sees.
    pub index: &'a Index,
    own: HashMap<&'a str, Prepared>,
}

impl<'a> Views<'a> {
    /// For a pod with these `needs`.
    #[must_use]
    pub fn of(index: &'a Index, needs: &Needs) -> Self {
        let uids = needs.uids();
        let nodes = uids.iter().flat_map(|uid| index.ledger().nodes_of(uid));
        let own = nodes.filter_map(|node| Some((node, index.node(node)?.view_without(&uids))));
        Self {
            index,
            own: own.collect(),
        }
    }

    /// The node `name`, if it published its space.
    #[must_use]
    pub fn of_node(&self, name: &str) -> Option<&Prepared> {
        let own = self.own.get(name);
        own.or_else(|| Some(self.index.node(name)?.view()))
    }
}
