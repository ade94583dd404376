//! Who gets the next claim.

use std::fmt;

use placement::{Bytes, PodRequest, Policy};

use crate::cluster::{Cluster, Host, float};
use crate::random::Random;

/// Chooses among the nodes where the claim fits. The choice of region and hole is the same for all: only the scheduler
/// differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chooser {
    /// Ours.
    Ours(Policy),
    /// Best fit: `pack` without regard to how many volumes a region has.
    BestFit,
    /// Any, each as likely.
    Random,
    /// The score of `TopoLVM`'s extender with its default divisor 1: log2 of the free GiB, from 1 to 10.
    TopoLvm,
    /// The most free bytes.
    MostFree,
}

/// In the order of the table.
pub const ALL: [Chooser; 6] = [
    Chooser::Ours(Policy::Pack),
    Chooser::Ours(Policy::Spread),
    Chooser::BestFit,
    Chooser::Random,
    Chooser::TopoLvm,
    Chooser::MostFree,
];

impl Chooser {
    /// The node for what is asked; none if it fits nowhere. Among equal ones chance decides, as in kube-scheduler.
    pub fn choose(self, cluster: &Cluster, pod_request: &mut PodRequest, random: &mut Random) -> Option<usize> {
        let fitting: Vec<usize> = (0..cluster.hosts.len())
            .filter(|host| cluster.hosts[*host].prepared.fits_each(pod_request))
            .collect();
        let best = match self {
            Self::Ours(policy) => lowest(&fitting, |host| cluster.hosts[host].prepared.cost(policy, pod_request)),
            Self::BestFit => lowest(&fitting, |host| {
                cluster.hosts[host].plain.cost(Policy::Pack, pod_request)
            }),
            Self::Random => fitting,
            Self::TopoLvm => lowest(&fitting, |host| std::cmp::Reverse(topolvm_score(&cluster.hosts[host]))),
            Self::MostFree => lowest(&fitting, |host| std::cmp::Reverse(free(&cluster.hosts[host]))),
        };
        match best.len() {
            0 => None,
            n => Some(best[random.below(n)]),
        }
    }
}

/// Those with the lowest cost.
fn lowest<C: Ord>(hosts: &[usize], mut cost: impl FnMut(usize) -> C) -> Vec<usize> {
    let costs: Vec<C> = hosts.iter().map(|host| cost(*host)).collect();
    let least = costs.iter().min();
    let best = hosts.iter().zip(&costs).filter(|(_, cost)| Some(*cost) == least);
    best.map(|(host, _)| *host).collect()
}

fn free(host: &Host) -> Bytes {
    let regions = host.prepared.node().regions.iter();
    regions.flat_map(|region| &region.free).map(|extent| extent.size).sum()
}

#[expect(clippy::cast_possible_truncation, reason = "from 1 to 10, rounded down as there")]
fn topolvm_score(host: &Host) -> i32 {
    let gib = float(free(host)) / float(Bytes::gib(1));
    (gib.log2() as i32).clamp(1, 10)
}

impl fmt::Display for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(policy) => write!(f, "{policy}"),
            Self::BestFit => f.write_str("best fit"),
            Self::Random => f.write_str("random"),
            Self::TopoLvm => f.write_str("TopoLVM's log2"),
            Self::MostFree => f.write_str("most free"),
        }
    }
}
