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
}

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

    /// Nothing is swept in a region for so long.
    pub(super) fn leave_alone(&mut self, region: &RegionId, long: Duration, now: Instant) {
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
    fn a_region_that_was_swept_is_left_alone_for_a_while() {
        let region = RegionId("r".into());
        let unknown = [Extent::new(Bytes::ZERO, Bytes::mib(64))];
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut resting = Resting::default();
        assert!(resting.have_rested(&region, &unknown, Duration::ZERO, begin));
        resting.leave_alone(&region, 100 * second, begin);
        assert!(!resting.have_rested(&region, &unknown, Duration::ZERO, begin + 99 * second));
        assert!(resting.have_rested(&region, &unknown, Duration::ZERO, begin + 100 * second));
    }
}
