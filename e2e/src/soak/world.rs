//! All that was confirmed: what has to be there, whatever happens.

use std::collections::BTreeMap;

use placement::Node;

use super::foreign::Foreign;
use super::volume::{State, Volume};

/// All that was confirmed.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Volumes that were made and not erased, by name.
    pub(super) volumes: BTreeMap<String, Volume>,
    /// Namespaces of somebody else, by name.
    pub(super) foreign: BTreeMap<String, Foreign>,
    /// What was free when it was last looked at.
    pub(super) free: Node,
    /// Pieces that were written so far.
    pub(super) pieces: u64,
    /// Foreign namespaces that were tried so far.
    pub(super) foreigners: u64,
}

impl World {
    /// Takes note that nothing is mounted any more, and returns what was.
    pub(super) fn power_was_cut(&mut self) -> Vec<String> {
        let mut were_staged = Vec::new();
        for volume in self.volumes.values_mut().filter(|volume| volume.state == State::Staged) {
            volume.state = State::Idle;
            were_staged.push(volume.name.clone());
        }
        were_staged
    }
}
