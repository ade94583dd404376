//! The granules of a region, as runs of the same tag.

use std::collections::BTreeMap;
use std::ops::Range;

use placement::{Bytes, Extent};

use super::tag::Tag;

/// Bytes of a granule: what is written or lost as a whole.
pub const GRANULE: Bytes = Bytes::kib(4);

/// The tags of all granules of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Granules {
    /// Where each run begins. The first begins at zero; neighbours differ.
    runs: BTreeMap<u64, Tag>,
    end: u64,
}

/// The granules that an extent touches.
pub(super) fn granules_of(extent: Extent) -> Range<u64> {
    let at = |bytes: Bytes| bytes.divided_by(GRANULE).unsigned_abs();
    at(extent.start)..at(extent.end().round_up(GRANULE))
}

impl Granules {
    pub(super) fn filled(size: Bytes, tag: Tag) -> Self {
        Self {
            runs: [(0, tag)].into(),
            end: granules_of(Extent::new(Bytes::ZERO, size)).end,
        }
    }

    pub(super) fn at(&self, granule: u64) -> Tag {
        let mut before = self.runs.range(..=granule);
        before.next_back().map_or(Tag::Zero, |(_, tag)| *tag)
    }

    pub(super) fn set(&mut self, range: Range<u64>, tag: Tag) {
        let range = range.start..range.end.min(self.end);
        if range.is_empty() {
            return;
        }
        let behind = self.at(range.end);
        let inside: Vec<u64> = self.runs.range(range.clone()).map(|(start, _)| *start).collect();
        for start in inside {
            self.runs.remove(&start);
        }
        if range.start == 0 || self.at(range.start - 1) != tag {
            self.runs.insert(range.start, tag);
        }
        if range.end < self.end {
            if behind == tag {
                self.runs.remove(&range.end);
            } else {
                self.runs.insert(range.end, behind);
            }
        }
    }

    /// The runs in a range, cut to it.
    pub(super) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, Tag)> + '_ {
        let first = self.runs.range(..=range.start).next_back();
        let more = self.runs.range(range.start + 1..range.end.max(range.start + 1));
        let mut all = first.into_iter().chain(more).peekable();
        std::iter::from_fn(move || {
            let (start, tag) = all.next()?;
            let end = all.peek().map_or(range.end, |(next, _)| **next);
            Some(((*start).max(range.start)..end, *tag))
        })
        .filter(|(run, _)| !run.is_empty())
    }

    /// Takes over a range of another layer.
    pub(super) fn copy(&mut self, from: &Self, range: Range<u64>) {
        for (run, tag) in from.runs(range) {
            self.set(run, tag);
        }
    }

    pub(super) fn all(&self) -> Range<u64> {
        0..self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::tag::Serial;

    fn data(token: u64) -> Tag {
        Tag::Data {
            of: Serial(0),
            token,
            generation: 0,
        }
    }

    /// The same as one tag for each granule.
    #[test]
    fn runs_are_as_single_granules() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut runs = Granules::filled(Bytes::kib(4 * 64), Tag::Earlier);
        let mut single = [Tag::Earlier; 64];
        for _ in 0..5000 {
            let (start, end) = (rng.u64(0..64), rng.u64(0..70));
            let tag = *rng.choice(&[Tag::Zero, Tag::Earlier, data(1), data(2)]).unwrap();
            runs.set(start..end, tag);
            for granule in start..end.min(64) {
                single[usize::try_from(granule).unwrap()] = tag;
            }
            for (granule, tag) in (0..).zip(&single) {
                assert_eq!(runs.at(granule), *tag);
            }
            let (start, end) = (rng.u64(0..64), rng.u64(0..=64));
            let mut at = start;
            for (run, tag) in runs.runs(start..end) {
                assert_eq!((run.start, runs.at(run.start)), (at, tag));
                assert!(
                    run.clone()
                        .all(|granule| single[usize::try_from(granule).unwrap()] == tag)
                );
                at = run.end;
            }
            assert!(at == end || start >= end);
            let tags: Vec<&Tag> = runs.runs.values().collect();
            assert!(tags.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
