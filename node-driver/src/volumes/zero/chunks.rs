//! Which bytes of a namespace are worked on by whom, and up to where all are done.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use placement::{Bytes, Extent};

/// Written or read at once: enough to stream, and little enough to stop soon.
pub const CHUNK: Bytes = Bytes::mib(1);

/// The bytes of a namespace, which are handed out in chunks from the first to the last. Whoever works on them takes the next, so
/// that all before some byte are done soon, and nobody waits for somebody slower.
#[derive(Debug)]
pub struct Chunks {
    size: Bytes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the next chunk starts.
    next: Bytes,
    /// Where the chunks start that are worked on.
    at_work: BTreeSet<Bytes>,
}

impl Chunks {
    /// All chunks of so many bytes.
    pub fn of(size: Bytes) -> Self {
        Self {
            size,
            state: Mutex::default(),
        }
    }

    /// The next one; none if all were taken.
    pub fn take(&self) -> Option<Extent> {
        let mut state = self.state();
        let start = state.next;
        if start >= self.size {
            return None;
        }
        let chunk = Extent::new(start, CHUNK.min(self.size.minus(start)));
        state.next = chunk.end();
        state.at_work.insert(start);
        Some(chunk)
    }

    /// One that was taken is done. All bytes before the one that is returned are.
    pub fn done(&self, chunk: Extent) -> Bytes {
        let mut state = self.state();
        state.at_work.remove(&chunk.start);
        state.at_work.first().copied().unwrap_or(state.next)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A chunk is in one of both before and after each change, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_handed_out_once() {
        for size in [0, 1, 4096, CHUNK.get(), 7 * CHUNK.get() + 4096] {
            let size = Bytes::try_from(size).unwrap();
            let chunks = Chunks::of(size);
            let all: Vec<Extent> = std::iter::from_fn(|| chunks.take()).collect();
            assert_eq!(all.first().map_or(Bytes::ZERO, |first| first.start), Bytes::ZERO);
            assert_eq!(all.last().map_or(Bytes::ZERO, |last| last.end()), size);
            assert!(all.windows(2).all(|pair| pair[0].end() == pair[1].start));
        }
    }

    #[test]
    fn what_is_done_ends_where_somebody_is_at_work() {
        let chunks = Chunks::of(CHUNK.times(3));
        let [first, second, third] = std::array::from_fn(|_| chunks.take().unwrap());
        assert_eq!(chunks.done(second), Bytes::ZERO);
        assert_eq!(chunks.done(first), third.start);
        assert_eq!(chunks.done(third), CHUNK.times(3));
    }
}
