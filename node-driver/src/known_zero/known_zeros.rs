//! What happens to what is known, before and after each change of a label of ours.
//!
//! Before anybody gets bytes, what is known of their region is taken back, and that survives a power loss. What is noted holds
//! for the label areas after a change, so that one who is killed in between leaves a record that nothing matches.

use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use placement::{Bytes, Extent, RegionId};
use uuid::Uuid;

use super::change::Change;
use super::label_areas::Look;
use super::record::{Record, Zeros, common, either};
use crate::node_file::Keep;

/// Which free bytes of this node are known to be zero. Its caller lets nobody else of this process change labels of a region
/// meanwhile.
#[derive(Default)]
pub struct KnownZeros {
    /// None: nothing is ever known.
    keep: Option<Box<dyn Keep>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// None until it was read.
    record: Option<Record>,
    /// Whether the file says something else than the record.
    is_stale: bool,
}

/// What the file says of bytes that are about to be used cannot be taken back.
#[derive(Debug, thiserror::Error)]
#[error(
    "the file `known-zeros` beside the driver's socket cannot be replaced: it can be deleted, which is always safe"
)]
pub struct NotWithdrawn(#[source] io::Error);

impl fmt::Debug for KnownZeros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownZeros")
            .field("state", &*self.state())
            .finish_non_exhaustive()
    }
}

impl KnownZeros {
    /// What was kept there.
    #[must_use]
    pub fn kept_in(keep: impl Keep + 'static) -> Self {
        Self {
            keep: Some(Box::new(keep)),
            state: Mutex::default(),
        }
    }

    /// Has `create` make the namespace with this UUID. Returns those of its bytes as well that are known to be zero.
    /// `look` reads the label areas of the region; none if that is not possible.
    ///
    /// # Errors
    /// What is known of the region cannot be taken back, and nothing was made; or those of `create`.
    pub fn create<T, E: From<NotWithdrawn>>(
        &self,
        region: &RegionId,
        uuid: Uuid,
        look: impl Fn() -> Option<Look>,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<(T, Vec<Extent>), E> {
        let Some(keep) = &self.keep else {
            return Ok((create()?, Vec::new()));
        };
        let mut state = self.state();
        let before = state.look_if_noted(&**keep, region, &look);
        let known = before.as_ref().and_then(|before| state.under(region, before));
        state.change(&**keep, |record| record.forget(region))?;
        let made = create()?;
        let (Some(before), Some(known)) = (before, known) else {
            return Ok((made, Vec::new()));
        };
        let after = look();
        let explained = after.filter(|after| Change::Written(uuid).explains(&before, after));
        let placed = explained.and_then(|after| after.areas.extent_of(uuid).map(|taken| (after, taken)));
        let Some((after, taken)) = placed else {
            tracing::info!(%region, "what was known to be zero is not any more: somebody else may have changed labels");
            return Ok((made, Vec::new()));
        };
        let zero = common(&known.free, &[taken]);
        state.note(&**keep, region, &after, known);
        Ok((made, zero))
    }

    /// Has `mark` write the label of the namespace with this UUID, which takes no other bytes by that.
    ///
    /// # Errors
    /// Those of `mark`.
    pub fn mark<T, E>(
        &self,
        region: &RegionId,
        uuid: Uuid,
        look: impl Fn() -> Option<Look>,
        mark: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(keep) = &self.keep else {
            return mark();
        };
        let mut state = self.state();
        let before = state.look_if_noted(&**keep, region, &look);
        let marked = mark();
        if let Some(before) = before {
            state.follow(&**keep, region, (&before, look().as_ref()), Change::Written(uuid), &[]);
        }
        marked
    }

    /// Has `destroy` take away the namespace with this UUID. `zero`: those of its bytes that are zero and will be after a power loss.
    ///
    /// # Errors
    /// Those of `destroy`.
    pub fn destroy<T, E>(
        &self,
        region: &RegionId,
        uuid: Uuid,
        zero: &[Extent],
        look: impl Fn() -> Option<Look>,
        destroy: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(keep) = &self.keep else {
            return destroy();
        };
        let mut state = self.state();
        let before = match zero {
            [] => state.look_if_noted(&**keep, region, &look),
            _ => look(),
        };
        let destroyed = destroy();
        let Some(before) = before else {
            return destroyed;
        };
        let taken = before.areas.extent_of(uuid).filter(|_| destroyed.is_ok());
        let is_its = |zero: &&Extent| taken.is_some_and(|taken| taken.contains(**zero));
        let freed: Vec<Extent> = zero.iter().filter(is_its).copied().collect();
        state.follow(
            &**keep,
            region,
            (&before, look().as_ref()),
            Change::Deleted(uuid),
            &freed,
        );
        destroyed
    }

    /// The free bytes of a region that are known to be zero.
    pub fn free(&self, region: &RegionId, look: impl Fn() -> Option<Look>) -> Vec<Extent> {
        self.known(region, look).unwrap_or_default().free
    }

    /// How many bytes from the first on were erased so far of the namespace with this UUID, which is at `extent`.
    pub fn erased(&self, region: &RegionId, uuid: Uuid, extent: Extent, look: impl Fn() -> Option<Look>) -> Bytes {
        let noted = self
            .known(region, look)
            .and_then(|known| known.erased.get(&uuid).copied());
        let part = noted.filter(|part| part.start == extent.start);
        part.map_or(Bytes::ZERO, |part| part.size)
    }

    /// Notes what was erased so far of the namespace with this UUID: it is zero, and will be after a power loss.
    pub fn note_erased(&self, region: &RegionId, uuid: Uuid, part: Extent, look: impl Fn() -> Option<Look>) {
        let (Some(keep), Some(now)) = (&self.keep, look()) else {
            return;
        };
        let mut state = self.state();
        state.record(&**keep);
        let mut known = state.under(region, &now).unwrap_or_default();
        known.erased.insert(uuid, part);
        state.note(&**keep, region, &now, known);
    }

    fn known(&self, region: &RegionId, look: impl Fn() -> Option<Look>) -> Option<Zeros> {
        let keep = self.keep.as_ref()?;
        let mut state = self.state();
        let now = state.look_if_noted(&**keep, region, look)?;
        state.under(region, &now)
    }

    /// Forgets what is not free any more, as a listing shows it: what namespaces take, and bad blocks. Where somebody else took
    /// bytes, nothing in that region is known any more.
    pub fn see(&self, region: &RegionId, taken: &[Extent], bad: &[Extent]) {
        let Some(keep) = &self.keep else {
            return;
        };
        let mut state = self.state();
        let noted = state.record(&**keep).noted(region).to_vec();
        let changed = if !common(&noted, taken).is_empty() {
            tracing::info!(%region, "what was known to be zero is not any more: somebody else has a namespace there");
            state.change(&**keep, |record| record.forget(region))
        } else if !common(&noted, bad).is_empty() {
            state.change(&**keep, |record| record.forget_part(region, bad))
        } else {
            return;
        };
        log(changed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The record is replaced whole, and one that was not kept is known to be stale, so a panic leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It is repeated before bytes are used.
fn log(kept: Result<(), NotWithdrawn>) {
    if let Err(error) = kept {
        tracing::warn!(
            error = program::chain(&error),
            "what is known to be zero is not kept for the next start"
        );
    }
}

impl State {
    fn record(&mut self, keep: &dyn Keep) -> &mut Record {
        if self.record.is_none() {
            let read = keep.read();
            // What cannot be read now may be there again later.
            self.is_stale = read.is_err();
            let bytes = read.unwrap_or_else(|error| {
                tracing::warn!(
                    error = program::chain(&error),
                    "cannot read which bytes are known to be zero"
                );
                None
            });
            self.is_stale |= bytes.as_ref().is_some_and(|bytes| Record::from_bytes(bytes).is_none());
            self.record = Some(bytes.and_then(|bytes| Record::from_bytes(&bytes)).unwrap_or_default());
        }
        self.record.get_or_insert_default()
    }

    fn under(&mut self, region: &RegionId, look: &Look) -> Option<Zeros> {
        let labels = look.areas.hash();
        let record = self.record.as_ref()?;
        record.under(region, labels.as_deref()).cloned()
    }

    /// Reading label areas takes time, and is for nothing where nothing is known.
    fn look_if_noted(&mut self, keep: &dyn Keep, region: &RegionId, look: impl Fn() -> Option<Look>) -> Option<Look> {
        if !self.record(keep).is_about(region) {
            return None;
        }
        look()
    }

    /// What was known before a change that takes no bytes holds after it, if nobody else changed anything; and what it `freed` is
    /// zero.
    fn follow(
        &mut self,
        keep: &dyn Keep,
        region: &RegionId,
        (before, after): (&Look, Option<&Look>),
        change: Change,
        freed: &[Extent],
    ) {
        let known = self.under(region, before);
        let is_explained = after.is_some_and(|after| change.explains(before, after));
        match after {
            Some(after) if known.is_some() && after.areas == before.areas => {}
            Some(after) if is_explained && (known.is_some() || !freed.is_empty()) => {
                let mut zeros = known.unwrap_or_default();
                zeros.free = either(&zeros.free, freed);
                self.note(keep, region, after, zeros);
            }
            _ if self.record(keep).is_about(region) => {
                tracing::info!(%region, "what was known to be zero is not any more: somebody else may have changed labels");
                log(self.change(keep, |record| record.forget(region)));
            }
            _ => {}
        }
    }

    /// Notes that these bytes are zero, as far as they are where the labels say.
    fn note(&mut self, keep: &dyn Keep, region: &RegionId, look: &Look, mut zeros: Zeros) {
        let Some(labels) = look.areas.hash() else {
            return;
        };
        zeros.free = common(&zeros.free, &look.areas.free());
        let is_there = |uuid: &Uuid, part: &mut Extent| {
            let taken = look.areas.extent_of(*uuid);
            taken.is_some_and(|taken| taken.contains(*part))
        };
        zeros.erased.retain(is_there);
        log(self.change(keep, |record| record.put(region, labels, zeros)));
    }

    /// Changes the record, and the file if it says something else.
    fn change(&mut self, keep: &dyn Keep, change: impl FnOnce(&mut Record)) -> Result<(), NotWithdrawn> {
        let record = self.record(keep);
        let before = record.clone();
        change(record);
        let is_new = *record != before;
        let bytes = record.to_bytes();
        self.is_stale |= is_new;
        if self.is_stale {
            let replaced = bytes.map_err(io::Error::other).and_then(|bytes| keep.replace(&bytes));
            replaced.map_err(NotWithdrawn)?;
            self.is_stale = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
