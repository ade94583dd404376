//! One state for the pumps that write it and the calls that read it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cluster::watch::SharedIndex;

use super::State;

/// A [`State`] that is shared. Readers run beside each other; a writer holds it for one event or one call only.
#[derive(Clone, Debug, Default)]
pub struct SharedState(Arc<RwLock<State>>);

impl SharedState {
    /// Must not be held over an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Must not be held over an await.
    pub fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedIndex for SharedState {
    type Index = State;

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.write());
    }
}

impl From<State> for SharedState {
    fn from(state: State) -> Self {
        Self(Arc::new(RwLock::new(state)))
    }
}
