//! Scores that tell kube-scheduler which of its candidates is best.

use std::fmt;
use std::str::FromStr;

use crate::Bytes;

/// What makes a node a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The smallest leftover in the hole that the kernel will use, in regions with many volumes rather than few
    /// ([`Occupancy`](crate::Occupancy)), then the fullest node: large extents stay whole.
    #[default]
    Pack,
    /// The most free bytes afterwards, then the smallest leftover: volumes are spread over the nodes.
    Spread,
}

/// How bad a node is for what is asked: the lower, the better. Only for comparison with those of the same policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    first: Bytes,
    /// Decides where the first is equal.
    then: Bytes,
}

impl Cost {
    /// The cost of a node where `wasted` bytes stay in the holes that are used, surcharges included, and `free` raw bytes
    /// on the whole node.
    #[must_use]
    pub fn of(policy: Policy, wasted: Bytes, free: Bytes) -> Self {
        match policy {
            Policy::Pack => Self {
                first: wasted,
                then: free,
            },
            Policy::Spread => Self {
                first: Bytes::MAX.minus(free),
                then: wasted,
            },
        }
    }
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
pub fn scores(costs: &[Option<Cost>]) -> Vec<u8> {
    let numbered = costs.iter().zip(0..);
    let mut ranked: Vec<(Cost, usize)> = numbered.filter_map(|(cost, index)| Some(((*cost)?, index))).collect();
    ranked.sort_unstable();
    let ranks = || ranked.chunk_by(|a, b| a.0 == b.0);
    let last = ranks().count().saturating_sub(1);
    let mut scores = vec![0; costs.len()];
    for (rank, alike) in ranks().enumerate() {
        let score = score_of_rank(rank, last);
        for (_, index) in alike {
            scores[*index] = score;
        }
    }
    scores
}

fn score_of_rank(rank: usize, last: usize) -> u8 {
    if rank == 0 {
        return HIGHEST;
    }
    let below_best = usize::from(HIGHEST - 1) * (last - rank) / last;
    u8::try_from(below_best).unwrap_or(HIGHEST - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(costs: &[u32]) -> Vec<u8> {
        scores(&costs.iter().map(|n| Some(cost(*n))).collect::<Vec<_>>())
    }

    fn cost(left_over: u32) -> Cost {
        Cost::of(Policy::Pack, Bytes::new(left_over), Bytes::ZERO)
    }

    #[test]
    fn the_whole_scale_is_used() {
        assert_eq!(of(&[30, 10, 20]), [0, 10, 4]);
        assert_eq!(of(&[100_000, 100_001]), [10, 0]);
        assert_eq!(of(&[5, 5]), [10, 10]);
        assert_eq!(of(&[]), Vec::<u8>::new());
        assert_eq!(scores(&[None, Some(cost(u32::MAX))]), [0, 10]);
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
            let costs: Vec<Option<Cost>> = costs.into_iter().map(|of| of.map(cost)).collect();
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
