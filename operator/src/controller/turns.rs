//! One call at a time for each volume.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::volume_id::VolumeId;

/// The volumes that a call is at work on.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<BTreeSet<VolumeId>>>);

/// The right to work on one volume, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    turns: Turns,
    id: VolumeId,
}

impl Turns {
    /// The right to work on `id`, unless another call has it.
    pub fn take(&self, id: &VolumeId) -> Option<Turn> {
        self.lock().insert(id.clone()).then(|| Turn {
            turns: self.clone(),
            id: id.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<VolumeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_for_each_volume() {
        let turns = Turns::default();
        let (a, b) = (VolumeId::of_name("a"), VolumeId::of_name("b"));
        let turn = turns.take(&a);
        assert!(turn.is_some() && turns.take(&a).is_none() && turns.take(&b).is_some());
        drop(turn);
        assert!(turns.take(&a).is_some());
    }
}
