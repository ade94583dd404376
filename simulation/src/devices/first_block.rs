//! File systems that lose their first block: bad blocks there are cleared, and read as zeros. A backup superblock has it still.

use node_driver::devices::Stage;

use super::machine::Machine;
use super::state::State;
use super::tag::{Serial, Tag};

impl Machine {
    /// An administrator clears bad blocks at the start of a file system that nobody has mounted: zeros are there now.
    pub fn lose_first_block(&self, which: usize) {
        let mut state = self.state();
        let unused = state.unmounted_filesystems();
        if let Some(serial) = unused.get(which.checked_rem(unused.len()).unwrap_or_default()) {
            state.lose_first_block(*serial);
        }
    }

    /// An administrator repairs them all, by their backup superblocks.
    pub fn repair_first_blocks(&self) {
        let mut state = self.state();
        for (serial, superblock) in state.lost_superblocks.clone() {
            // One that was deleted meanwhile stays as it is.
            if state.is_in_use(serial) && state.first_block(serial) == Some(Tag::Zero) {
                state.write_first_block(serial, superblock);
            }
        }
    }
}

impl State {
    fn unmounted_filesystems(&self) -> Vec<Serial> {
        let unused = self.namespaces.iter().filter(|found| self.user(found).is_none());
        let serials = unused.map(|found| found.serial);
        serials
            .filter(|serial| self.is_in_use(*serial))
            .filter(|serial| matches!(self.first_block(*serial), Some(Tag::Superblock { .. })))
            .collect()
    }

    fn is_in_use(&self, serial: Serial) -> bool {
        let found = self.namespace(serial);
        found.is_some_and(|found| found.label.shown.stage() == Some(Stage::InUse))
    }

    fn lose_first_block(&mut self, serial: Serial) {
        if let Some(superblock) = self.first_block(serial) {
            self.lost_superblocks.insert(serial, superblock);
            self.write_first_block(serial, Tag::Zero);
        }
    }
}
