//! The machine: what outlives every run of the driver, and what the world does to it.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use crds::RegionState;
use node_driver::devices::Devices;
use node_driver::filesystem::Filesystems;
use placement::{Extent, RegionId};
use tokio::sync::watch;

use super::driver::Run;
use super::faults::DeviceFault;
use super::fuse::Fuse;
use super::region::{ModelRegion, RegionSpec};
use super::state::State;
use super::truth::Truth;

/// Hardware and kernel of one node: it outlives every run of the driver. Clones share it.
#[derive(Clone)]
pub struct Machine(Arc<Shared>);

struct Shared {
    node: String,
    state: Mutex<State>,
    let_go: Condvar,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Machine").field(&self.0.node).finish()
    }
}

impl Machine {
    /// A machine whose every byte is an earlier tenant's.
    #[must_use]
    pub fn new(node: &str, regions: &[RegionSpec]) -> Self {
        Self(Arc::new(Shared {
            node: node.to_owned(),
            state: Mutex::new(State::new(regions)),
            let_go: Condvar::new(),
        }))
    }

    /// The name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere ends the simulation anyway.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The devices, for one run of the driver. What an earlier run left disabled stays so until this one brings it up.
    #[must_use]
    pub fn devices(&self, fuse: &Fuse) -> Arc<dyn Devices> {
        Arc::new(Run::new(self.clone(), fuse.clone()))
    }

    /// The file systems, for one run of the driver.
    #[must_use]
    pub fn filesystems(&self, fuse: &Fuse) -> Arc<dyn Filesystems> {
        Arc::new(Run::new(self.clone(), fuse.clone()))
    }

    /// Told whenever something changes that the kernel announces.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.state().changes.subscribe()
    }

    /// Writes and syncs: the file system that is mounted at `path`, or the block device that is bound to it, holds this token.
    ///
    /// # Errors
    /// Nothing is there, it is read-only, or its region is away.
    pub fn write(&self, path: &Path, token: u64) -> io::Result<()> {
        self.state().write(path, token)
    }

    /// The token that the file system at `path` holds, or the block device; none if it is empty, or zero.
    ///
    /// # Errors
    /// Nothing is there, its region is away, or what is there is not what one write left.
    pub fn read(&self, path: &Path) -> io::Result<Option<u64>> {
        self.state().read(path)
    }

    /// Cuts the power, and starts the kernel again: mounts vanish, of what was not flushed any granule may be old or new, and
    /// labels that are not the same on all modules are any of them.
    pub fn cut_power(&self, rng: &mut fastrand::Rng) {
        self.state().cut_power(rng);
    }

    /// Shuts the kernel down in order, and starts it again: mounts vanish, nothing is lost.
    pub fn reboot(&self) {
        self.state().reboot();
    }

    /// Whether something goes wrong from now on.
    pub fn set_fault(&self, fault: DeviceFault, on: bool) {
        self.state().faults.set(fault, on);
    }

    /// Whether that goes wrong now.
    #[must_use]
    pub fn has_fault(&self, fault: DeviceFault) -> bool {
        self.state().faults.has(fault)
    }

    /// Bytes go bad, and the kernel knows it. It announces that to nobody.
    pub fn poison(&self, region: &str, extent: Extent) {
        self.change_region(region, |region| region.bad.push(extent));
    }

    /// Bytes go bad, and the kernel will not know it before they are read.
    pub fn poison_unknown(&self, region: &str, extent: Extent) {
        self.change_region(region, |region| region.bad_unknown.push(extent));
    }

    /// The kernel does not list a region at all: a module is missing.
    pub fn hide_region(&self, id: &str, on: bool) {
        self.change_region(id, |region| region.is_listed = !on);
        self.state().announce();
    }

    /// A region cannot be seen completely, and none of its namespaces is shown.
    pub fn not_seen(&self, id: &str, on: bool) {
        let state = if on { RegionState::NotSeen } else { RegionState::Ready };
        self.set_region_state(id, state, !on);
    }

    /// Disables a region, or enables it. The kernel refuses to disable one that is in use.
    pub fn disable(&self, id: &str, on: bool) {
        if on && self.state().uses_region(id) {
            return;
        }
        let state = if on { RegionState::Disabled } else { RegionState::Ready };
        self.set_region_state(id, state, !on);
    }

    /// Has a region shown in that state, with its namespaces or without.
    pub fn set_region_state(&self, id: &str, state: RegionState, shows_namespaces: bool) {
        self.change_region(id, |region| {
            region.state = state;
            region.shows_namespaces = shows_namespaces;
        });
        self.state().announce();
    }

    /// Free space that the kernel shows but does not give.
    pub fn hide_space(&self, region: &str, extent: Extent) {
        self.change_region(region, |region| region.withheld.push(extent));
    }

    /// The kernel gives all space of a region again.
    pub fn show_space(&self, region: &str) {
        self.change_region(region, |region| region.withheld.clear());
    }

    /// Somebody makes a namespace with `ndctl` and fills it; returns its name. None if there is no space.
    pub fn foreign_create(&self, rng: &mut fastrand::Rng) -> Option<String> {
        self.state().foreign_create(rng)
    }

    /// Somebody destroys a namespace of theirs; returns its name. None if there is none.
    pub fn foreign_destroy(&self, rng: &mut fastrand::Rng) -> Option<String> {
        self.state().foreign_destroy(rng)
    }

    /// Somebody makes a namespace with `ndctl`, fills it, and destroys it before anybody looks. Nothing if there is no space.
    pub fn foreign_use(&self, rng: &mut fastrand::Rng) {
        let mut state = self.state();
        if state.foreign_create(rng).is_some() {
            state.foreign_destroy_last();
        }
    }

    /// As it is, whatever is shown.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.state().truth()
    }

    /// All that happened although it must never happen.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut state = self.state();
        state.check_theirs();
        state.violations().to_vec()
    }

    /// How often raw bytes of namespaces were read.
    #[must_use]
    pub fn raw_reads(&self) -> u64 {
        self.state().raw_reads
    }

    /// No zeros are written to volumes whose ids begin so until they are let go. Only for tests with several threads: the writer waits.
    pub fn hold_zeros(&self, volume: &str, on: bool) {
        let mut state = self.state();
        if on {
            state.held.insert(volume.to_owned());
        } else {
            state.held.remove(volume);
        }
        self.0.let_go.notify_all();
    }

    /// Waits until none of these is held.
    pub(super) fn wait_until_let_go(&self, volume: &str) {
        let state = self.state();
        let waited = self
            .0
            .let_go
            .wait_while(state, |state| state.held.iter().any(|held| volume.starts_with(&**held)));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn change_region(&self, id: &str, change: impl FnOnce(&mut ModelRegion)) {
        let mut state = self.state();
        if let Some(position) = state.region(&RegionId(id.to_owned())) {
            change(&mut state.regions[position]);
        }
    }
}
