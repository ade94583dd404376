//! For how long free bytes have been left alone.

use std::collections::HashMap;
use std::time::Duration;

use placement::{Extent, RegionId};
use tokio::time::Instant;

use crate::known_zero::without;

/// Which free bytes of each region may hold something, and since when there are no others.
#[derive(Debug, Default)]
pub(super) struct Resting {
    since: HashMap<RegionId, (Vec<Extent>, Instant)>,
    not_before: HashMap<RegionId, Instant>,
    /// How often each region was swept.
    times: HashMap<RegionId, u32>,
}

/// A region is left alone for so many times as long as it was swept.
const IDLE_TIMES: u32 = 10;
/// And no longer than that.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl Resting {
    /// Whether there are such bytes in a region, all of them have rested for so long, and the region is not to be left alone.
    pub(super) fn have_rested(&mut self, region: &RegionId, unknown: &[Extent], after: Duration, now: Instant) -> bool {
        let before = self.since.get(region);
        let since = before.filter(|(before, _)| without(unknown, before).is_empty());
        let since = since.map_or(now, |(_, since)| *since);
        self.since.insert(region.clone(), (unknown.to_vec(), since));
        let is_left_alone = self.not_before.get(region).is_some_and(|time| now < *time);
        !unknown.is_empty() && !is_left_alone && now.duration_since(since) >= after
    }

    /// A region was swept, which took so long. It is left alone for a while, and for twice as long each time: where others change labels
    /// all the time, what is known to be zero is not known for long, and would be written all the time.
    pub(super) fn was_swept(&mut self, region: &RegionId, took: Duration, after: Duration, now: Instant) {
        let times = self.times.entry(region.clone()).or_default();
        let doubled = after.saturating_mul(2_u32.saturating_pow(*times));
        *times = times.saturating_add(1);
        let long = doubled.max(took.saturating_mul(IDLE_TIMES)).min(LONGEST);
        self.not_before.insert(region.clone(), now + long);
    }

    /// They have to rest again.
    pub(super) fn begin_again(&mut self, region: &RegionId) {
        self.since.remove(region);
    }
}

#[cfg(test)]
mod tests {
    use placement::Bytes;

    use super::*;

    #[test]
    fn bytes_that_come_to_be_free_rest_first() {
        let region = RegionId("r".into());
        let mib = |start, size| Extent::new(Bytes::mib(start), Bytes::mib(size));
        let (begin, after) = (Instant::now(), Duration::from_secs(300));
        let mut resting = Resting::default();
        let mut have_rested = |unknown: &[Extent], second| {
            let now = begin + Duration::from_secs(second);
            resting.have_rested(&region, unknown, after, now)
        };
        assert!(!have_rested(&[mib(0, 64)], 0));
        assert!(!have_rested(&[mib(0, 64)], 299));
        assert!(have_rested(&[mib(0, 64)], 300));
        // Some were taken.
        assert!(have_rested(&[mib(16, 16), mib(40, 24)], 310));
        // Somebody freed others.
        assert!(!have_rested(&[mib(0, 32), mib(40, 24)], 320));
        assert!(have_rested(&[mib(0, 32), mib(40, 24)], 620));
        assert!(!have_rested(&[], 700));
    }

    #[test]
    fn a_region_that_was_swept_is_left_alone_for_longer_each_time() {
        let region = RegionId("r".into());
        let unknown = [Extent::new(Bytes::ZERO, Bytes::mib(64))];
        let (second, after) = (Duration::from_secs(1), Duration::from_secs(300));
        let mut now = Instant::now();
        let mut resting = Resting::default();
        assert!(!resting.have_rested(&region, &unknown, after, now));
        now += after;
        for (took, alone) in [
            (second, 300),
            (100 * second, 1000),
            (second, 1200),
            (1_000_000 * second, 86400),
        ] {
            assert!(resting.have_rested(&region, &unknown, after, now));
            resting.was_swept(&region, took, after, now);
            assert!(!resting.have_rested(&region, &unknown, after, now + alone * second - second));
            now += alone * second;
        }
        assert!(resting.have_rested(&region, &unknown, after, now));
    }
}
