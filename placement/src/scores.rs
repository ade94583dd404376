//! Scores that tell kube-scheduler which of its candidates is best.

use std::fmt;
use std::str::FromStr;

use crate::Bytes;

/// What makes a node a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The smallest leftover in the hole that the kernel will use: large extents stay whole.
    #[default]
    Pack,
    /// The most free bytes afterwards: volumes are spread over the nodes.
    Spread,
}

/// There is no such policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a scoring policy: allowed are pack, spread")]
pub struct NotAPolicy(String);

impl FromStr for Policy {
    type Err = NotAPolicy;

    fn from_str(name: &str) -> Result<Self, NotAPolicy> {
        match name {
            "pack" => Ok(Self::Pack),
            "spread" => Ok(Self::Spread),
            _ => Err(NotAPolicy(name.into())),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pack => "pack",
            Self::Spread => "spread",
        })
    }
}

/// The highest score (`MaxExtenderPriority` of kube-scheduler).
pub const HIGHEST: u8 = 10;

/// A score from 0 to [`HIGHEST`] for each of the candidates of one call, by their costs: the lower, the better.
///
/// Ranks are scored, not distances, so that the whole scale is used however close the costs are. Only the candidates
/// with the lowest cost have the highest score; those without a cost, where the claims do not fit, have 0.
#[must_use]
pub fn scores(costs: &[Option<Bytes>]) -> Vec<u8> {
    let mut ranks: Vec<Bytes> = costs.iter().copied().flatten().collect();
    ranks.sort_unstable();
    ranks.dedup();
    let score = |cost: &Option<Bytes>| cost.map_or(0, |cost| score_of_rank(&ranks, cost));
    costs.iter().map(score).collect()
}

fn score_of_rank(ranks: &[Bytes], cost: Bytes) -> u8 {
    let rank = ranks.partition_point(|other| *other < cost);
    if rank == 0 {
        return HIGHEST;
    }
    let worse = ranks.len() - 1 - rank;
    let below_best = usize::from(HIGHEST - 1) * worse / (ranks.len() - 1);
    u8::try_from(below_best).unwrap_or(HIGHEST - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(costs: &[u32]) -> Vec<u8> {
        scores(&costs.iter().map(|n| Some(Bytes::new(*n))).collect::<Vec<_>>())
    }

    #[test]
    fn the_whole_scale_is_used() {
        assert_eq!(of(&[30, 10, 20]), [0, 10, 4]);
        assert_eq!(of(&[100_000, 100_001]), [10, 0]);
        assert_eq!(of(&[5, 5]), [10, 10]);
        assert_eq!(of(&[]), Vec::<u8>::new());
        assert_eq!(scores(&[None, Some(Bytes::MAX)]), [0, 10]);
    }

    #[test]
    fn names_of_policies() {
        for policy in [Policy::Pack, Policy::Spread] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!(
            "best".parse::<Policy>().unwrap_err().to_string(),
            "\"best\" is not a scoring policy: allowed are pack, spread"
        );
    }

    proptest! {
        #[test]
        fn the_best_always_wins(costs in prop::collection::vec(prop::option::of(0_u32..1000), 1..200)) {
            let costs: Vec<Option<Bytes>> = costs.into_iter().map(|cost| cost.map(Bytes::new)).collect();
            let scores = scores(&costs);
            let best = costs.iter().flatten().min();
            for (cost, score) in costs.iter().zip(&scores) {
                prop_assert_eq!(*score == HIGHEST, cost.is_some() && cost.as_ref() == best);
            }
            for (a, x) in costs.iter().zip(&scores) {
                for (b, y) in costs.iter().zip(&scores) {
                    prop_assert!(a.is_none() || b.is_none() || a > b || x >= y);
                }
            }
        }
    }
}
