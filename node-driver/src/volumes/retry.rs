//! When a step that failed is repeated.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::PmemVolume;
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);
/// When to plan again for a volume that a person has to help. Most help causes an event, which is heard at once.
pub(super) const WHILE_BLOCKED: Duration = Duration::from_secs(30);
/// When to plan again for a volume that lets an older one choose its region first. As soon as that one has its namespace, the devices
/// have changed, and all are planned anew.
pub(super) const WHILE_BEHIND: Duration = Duration::from_secs(1);

/// The delays between the tries of one thing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff(Option<Duration>);

impl Backoff {
    /// The delay after one more failure: twice the last one.
    pub(super) fn next(&mut self) -> Duration {
        let delay = self.0.map_or(FIRST, |delay| delay.saturating_mul(2).min(LONGEST));
        self.0 = Some(delay);
        delay
    }
}

/// The delays before steps that failed are repeated: twice as long each time. The status that shows a failure comes back as
/// a change of the volume, which is no reason to try again sooner; its deletion is.
#[derive(Debug, Default)]
pub(super) struct RetryDelays(Mutex<HashMap<String, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    delay: Duration,
    backoff: Backoff,
    last: Instant,
    while_deleted: bool,
}

impl RetryDelays {
    /// What is left of the volume's delay, if it has one.
    pub(super) fn remaining(&self, volume: &PmemVolume) -> Option<Duration> {
        let failures = *self.entries().get(key(volume))?;
        let rest = failures.delay.checked_sub(failures.last.elapsed())?;
        (failures.while_deleted == is_deleted(volume)).then_some(rest)
    }

    /// Notes a failure and returns the delay that begins now.
    pub(super) fn failed(&self, volume: &PmemVolume) -> Duration {
        let mut entries = self.entries();
        let mut backoff = entries
            .get(key(volume))
            .map_or_else(Backoff::default, |failures| failures.backoff);
        let delay = backoff.next();
        let failures = Failures {
            delay,
            backoff,
            last: Instant::now(),
            while_deleted: is_deleted(volume),
        };
        entries.insert(key(volume).into(), failures);
        delay
    }

    pub(super) fn succeeded(&self, volume: &PmemVolume) {
        self.entries().remove(key(volume));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Failures>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(volume: &PmemVolume) -> &str {
    volume.metadata.uid.as_deref().unwrap_or_default()
}

fn is_deleted(volume: &PmemVolume) -> bool {
    volume.metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_each_time_and_not_after_success() {
        let spec = serde_json::json!({ "node": "n", "required": 1, "mode": "fsdax" });
        let mut volume = PmemVolume::new("v", serde_json::from_value(spec).unwrap());
        volume.metadata.uid = Some("u".into());
        let delays = RetryDelays::default();
        assert_eq!(delays.remaining(&volume), None);
        let each: Vec<Duration> = (0..12).map(|_| delays.failed(&volume)).collect();
        assert_eq!(each[1], each[0] * 2);
        assert_eq!(each[11], LONGEST);
        assert!(delays.remaining(&volume).is_some());
        let mut deleted = volume.clone();
        deleted.metadata.deletion_timestamp = Some(serde_json::from_value("2026-01-01T00:00:00Z".into()).unwrap());
        assert_eq!(delays.remaining(&deleted), None);
        delays.succeeded(&volume);
        assert_eq!(delays.remaining(&volume), None);
    }
}
