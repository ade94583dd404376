//! Claims that come and go, and what becomes of them under a policy.
//!
//! Sizes are lognormal: most are small, few are large, up to a cap. A trace goes on after a claim that found no space, as
//! a cluster does, but the share of space in use at the first one is what counts.

use placement::{Bytes, PodRequest};

use crate::cluster::{Cluster, Volume, region_size, request, share};
use crate::policy::Chooser;
use crate::random::Random;

/// The median size, as a share of the largest size that claims may have.
const MEDIAN: f64 = 1.0 / 8.0;
const SIGMA: f64 = 1.0;
/// Under churn this much of all space is in use.
pub const FILL: f64 = 0.85;
/// Deletes, per volume that there is when the cluster is filled to that: each volume is replaced about so often.
pub const TURNOVER: usize = 5;

/// What claims look like.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The largest claim, as a share of a region.
    pub cap: f64,
    pub seed: u64,
}

/// What became of one trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Share of all space in use when the first claim failed: nothing was ever deleted.
    pub without_churn: f64,
    /// Share of all space in use when the first claim failed: filled, churned, then filled up.
    pub with_churn: f64,
    /// Claims refused per claim made while the cluster churned.
    pub refused: f64,
    /// Share of the free bytes outside the largest extent of their region: after one turnover, and after all.
    pub fragmentation: [f64; 2],
}

impl Load {
    fn claims(self) -> Claims {
        Claims {
            random: Random::new(self.seed),
            cap: self.cap,
        }
    }
}

struct Claims {
    random: Random,
    cap: f64,
}

impl Claims {
    /// Raw bytes of the next claim. What is above the cap is drawn again.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of units in a region")]
    fn next(&mut self) -> Bytes {
        let unit = Bytes::mib(2);
        #[expect(clippy::cast_precision_loss, reason = "65,536 units")]
        let most = self.cap * region_size().divided_by(unit) as f64;
        loop {
            let units = self.random.lognormal(MEDIAN * most, SIGMA);
            if units <= most {
                return unit.times(units as i64).max(Bytes::mib(16));
            }
        }
    }
}

/// A cluster in the middle of a trace.
struct Run {
    cluster: Cluster,
    chooser: Chooser,
    claims: Claims,
    /// For what is not in the trace: which of several equal nodes.
    random: Random,
    live: Vec<Volume>,
    first_failure: Option<f64>,
    refused: usize,
    made: usize,
}

impl Run {
    fn new(chooser: Chooser, load: Load) -> Self {
        Self {
            cluster: Cluster::new(),
            chooser,
            claims: load.claims(),
            random: Random::new(!load.seed),
            live: Vec::new(),
            first_failure: None,
            refused: 0,
            made: 0,
        }
    }

    fn used(&self) -> f64 {
        share(self.cluster.used, Cluster::total())
    }

    /// Makes the next claim; says whether it found space.
    fn create(&mut self) -> anyhow::Result<bool> {
        let request = request(self.claims.next());
        self.made += 1;
        let mut pod_request = PodRequest::new(vec![request]);
        let Some(host) = self.chooser.choose(&self.cluster, &mut pod_request, &mut self.random) else {
            self.refused += 1;
            self.first_failure = self.first_failure.or(Some(self.used()));
            return Ok(false);
        };
        self.live.push(self.cluster.create(host, &request)?);
        Ok(true)
    }

    fn delete_one(&mut self) {
        let volume = self.live.swap_remove(self.claims.random.below(self.live.len()));
        self.cluster.delete(&volume);
    }

    /// As many deletes as there are volumes, each followed by as many claims as the fill needs.
    fn turn_over(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.live.len() {
            self.delete_one();
            while self.used() < FILL && self.create()? {}
        }
        Ok(())
    }

    fn fill_up(&mut self) -> anyhow::Result<f64> {
        while self.create()? {}
        Ok(self.first_failure.unwrap_or_default())
    }
}

/// Replays the trace of `load` under a policy.
pub fn replay(chooser: Chooser, load: Load) -> anyhow::Result<Outcome> {
    let without_churn = Run::new(chooser, load).fill_up()?;
    let mut run = Run::new(chooser, load);
    while run.used() < FILL && run.create()? {}
    (run.made, run.refused) = (0, 0);
    run.turn_over()?;
    let early = run.cluster.fragmentation();
    for _ in 1..TURNOVER {
        run.turn_over()?;
    }
    let late = run.cluster.fragmentation();
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let refused = run.refused as f64 / run.made as f64;
    Ok(Outcome {
        without_churn,
        with_churn: run.fill_up()?,
        refused,
        fragmentation: [early, late],
    })
}

/// What no policy can beat: all free bytes are one extent.
pub fn bound(load: Load) -> Outcome {
    let total = Cluster::total();
    let fill_up = |claims: &mut Claims, live: &mut Vec<Bytes>| {
        let mut used: Bytes = live.iter().copied().sum();
        loop {
            let claim = claims.next();
            if used.plus(claim) > total {
                return share(used, total);
            }
            used = used.plus(claim);
            live.push(claim);
        }
    };
    let without_churn = fill_up(&mut load.claims(), &mut Vec::new());
    let (mut claims, mut live) = (load.claims(), Vec::new());
    churn_bound(&mut claims, &mut live);
    Outcome {
        without_churn,
        with_churn: fill_up(&mut claims, &mut live),
        ..Outcome::default()
    }
}

fn churn_bound(claims: &mut Claims, live: &mut Vec<Bytes>) {
    let total = Cluster::total();
    let mut used = Bytes::ZERO;
    let mut deletes = None;
    loop {
        while share(used, total) < FILL {
            let claim = claims.next();
            used = used.plus(claim);
            live.push(claim);
        }
        let left = deletes.get_or_insert(live.len() * TURNOVER);
        if *left == 0 {
            return;
        }
        *left -= 1;
        used = used.minus(live.swap_remove(claims.random.below(live.len())));
    }
}
