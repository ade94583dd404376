//! How far the erasures of this node have come, for the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{EraseProgress, ErasingVolume};
use placement::Bytes;
use tokio::sync::watch;

/// Progress is shown only if it grew by this part of the whole.
const PROGRESS_PARTS: i64 = 100;

/// How far the erasures of this node have come, by the ids of the volumes. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Erasures(Arc<watch::Sender<BTreeMap<String, ErasingVolume>>>);

impl Erasures {
    /// All of them, with a signal whenever one has come further.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<BTreeMap<String, ErasingVolume>> {
        self.0.subscribe()
    }

    /// So many raw bytes of `volume` are zero.
    pub(in crate::volumes) fn progressed(&self, volume: &str, done: Bytes, total: Bytes) {
        self.0.send_if_modified(|all| {
            let before = all.get(volume).filter(|before| before.message.is_empty());
            let before = before.map(|before| before.progress.done);
            let is_worth_it = before.is_none_or(|before| done.minus(before).times(PROGRESS_PARTS) >= total);
            if is_worth_it {
                all.insert(
                    volume.into(),
                    erasing(volume, EraseProgress { done, total }, String::new()),
                );
            }
            is_worth_it
        });
    }

    /// The namespace of `volume` does not get erased now, and why.
    pub(in crate::volumes) fn failed(&self, volume: &str, message: String) {
        self.0.send_if_modified(|all| {
            let before = all.get(volume);
            let progress = before.map_or(NOTHING, |before| before.progress);
            let is_new = before.is_none_or(|before| before.message != message);
            all.insert(volume.into(), erasing(volume, progress, message));
            is_new
        });
    }

    /// `volume` is erased, or there is none any more.
    pub(in crate::volumes) fn ended(&self, volume: &str) {
        self.0.send_if_modified(|all| all.remove(volume).is_some());
    }
}

const NOTHING: EraseProgress = EraseProgress {
    done: Bytes::ZERO,
    total: Bytes::ZERO,
};

fn erasing(volume: &str, progress: EraseProgress, message: String) -> ErasingVolume {
    ErasingVolume {
        name: volume.into(),
        progress,
        message,
    }
}
