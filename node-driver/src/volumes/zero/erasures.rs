//! How far the erasures of this node have come, for the report.

use std::collections::BTreeMap;
use std::sync::Arc;

use crds::{EraseProgress, ErasingVolume};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
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

    /// So many raw bytes of `volume` are zero, by an erasure that began at `begun`.
    pub(in crate::volumes) fn progressed(&self, volume: &str, progress: EraseProgress, begun: Timestamp) {
        self.0.send_if_modified(|all| {
            let before = all.get(volume).filter(|before| before.message.is_empty());
            let before = before.map(|before| before.progress.done);
            let is_worth_it =
                before.is_none_or(|before| progress.done.minus(before).times(PROGRESS_PARTS) >= progress.total);
            if is_worth_it {
                let over_at = over_at(progress, begun, program::now()).map(Time);
                all.insert(
                    volume.into(),
                    ErasingVolume {
                        over_at,
                        ..erasing(volume, progress, String::new())
                    },
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
        over_at: None,
        message,
    }
}

/// When all is zero if it goes on as fast as it went since `begun`, in full seconds; none if nothing is to be told from that.
fn over_at(progress: EraseProgress, begun: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let EraseProgress { done, total } = progress;
    let taken = now.duration_since(begun).as_secs();
    if taken <= 0 || done.is_zero() {
        return None;
    }
    let left = i128::from(taken) * i128::from(total.minus(done).get()) / i128::from(done.get());
    let over = now.as_second().checked_add(i64::try_from(left).ok()?)?;
    Timestamp::from_second(over).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64, done: u32) -> Option<i64> {
        let at = |second| Timestamp::from_second(1000 + second).unwrap();
        let progress = EraseProgress {
            done: Bytes::mib(done),
            total: Bytes::mib(100),
        };
        over_at(progress, at(0), at(seconds)).map(|over| over.as_second() - 1000)
    }

    #[test]
    fn it_goes_on_as_fast_as_before() {
        assert_eq!(after(10, 20), Some(50));
        assert_eq!(after(30, 100), Some(30));
        // Nothing is known yet.
        assert_eq!(after(10, 0), None);
        assert_eq!(after(0, 20), None);
        // The clock was set back.
        assert_eq!(after(-5, 20), None);
        // In more years than there are dates for.
        assert_eq!(after(i64::from(u32::MAX), 1), None);
    }

    #[test]
    fn what_failed_is_not_over_at_any_time() {
        let erasures = Erasures::default();
        let progress = EraseProgress {
            done: Bytes::mib(1),
            total: Bytes::mib(2),
        };
        let over_at = || erasures.subscribe().borrow()["v"].over_at.clone();
        erasures.progressed("v", progress, Timestamp::UNIX_EPOCH);
        assert!(over_at().is_some());
        erasures.failed("v", "no".into());
        assert_eq!(over_at(), None);
    }
}
