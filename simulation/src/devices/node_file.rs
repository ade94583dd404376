//! The file of a node that says which free bytes are known to be zero: on its disk, beside the machine's persistent memory.

use std::io;

use node_driver::node_file::Keep;

use super::fuse::Fuse;
use super::machine::Machine;

/// The file, as it is.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFile {
    /// What a read shows.
    shown: Option<Vec<u8>>,
    /// What a power loss leaves, at least.
    durable: Option<Vec<u8>>,
}

impl ModelFile {
    /// Of what was not synced, any may be there or not.
    pub(super) fn cut_power(&mut self, rng: &mut fastrand::Rng) {
        if self.shown != self.durable && rng.bool() {
            self.shown.clone_from(&self.durable);
        }
        self.sync();
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.shown);
    }
}

/// The file, for one run of the driver.
pub(super) struct NodeFile {
    pub(super) machine: Machine,
    pub(super) fuse: Fuse,
}

impl Keep for NodeFile {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        self.fuse.check().map_err(io::Error::other)?;
        Ok(self.machine.state().known_zeros.shown.clone())
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let rename = || self.machine.state().known_zeros.shown = Some(bytes.to_vec());
        self.fuse.effect(rename).map_err(io::Error::other)?;
        let sync = || self.machine.state().known_zeros.sync();
        self.fuse.effect(sync).map_err(io::Error::other)
    }
}
