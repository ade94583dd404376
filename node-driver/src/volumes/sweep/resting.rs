//! For how long free bytes have been left alone.

use std::collections::HashMap;
use std::time::Duration;

use placement::{Extent, RegionId};
use tokio::time::Instant;

use crate::known_zero::without;

/// Which free bytes of each region may hold something, and since when there are no others.
#[derive(Debug, Default)]
pub(super) struct Resting(HashMap<RegionId, (Vec<Extent>, Instant)>);

impl Resting {
    /// Whether there are such bytes in a region, and all of them have rested for so long.
    pub(super) fn have_rested(&mut self, region: &RegionId, unknown: &[Extent], after: Duration, now: Instant) -> bool {
        let before = self.0.get(region);
        let since = before.filter(|(before, _)| without(unknown, before).is_empty());
        let since = since.map_or(now, |(_, since)| *since);
        self.0.insert(region.clone(), (unknown.to_vec(), since));
        !unknown.is_empty() && now.duration_since(since) >= after
    }

    /// They have to rest again.
    pub(super) fn begin_again(&mut self, region: &RegionId) {
        self.0.remove(region);
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
}
