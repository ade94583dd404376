//! How kube-scheduler finds the nodes.

use anyhow::Result;
use serde_json::{Value, json};

use crate::harness::hollow::{HollowCluster, Limits};

/// What kube-scheduler goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Our extender, beside CSIStorageCapacity.
    Extender,
    /// CSIStorageCapacity alone, as 1.36 does.
    Tracking,
    /// The same, and it prefers nodes with more free bytes (`StorageCapacityScoring`), as 1.37 does.
    ScoringSpread,
    /// The same, and it prefers nodes with fewer free bytes.
    ScoringPacked,
}

impl Way {
    /// All of them, ours first.
    pub(super) const ALL: &[Self] = &[Self::Extender, Self::Tracking, Self::ScoringSpread, Self::ScoringPacked];

    /// What the names of its figures begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Extender => "burst",
            Self::Tracking => "burst_without_extender",
            Self::ScoringSpread => "burst_scoring_spread",
            Self::ScoringPacked => "burst_scoring_packed",
        }
    }

    /// Starts the scheduler anew, and the extender if it is needed.
    pub(super) async fn start(self, cluster: &mut HollowCluster) -> Result<()> {
        match self {
            Self::Extender => {
                cluster.start_extender().await?;
                cluster.restart_scheduler(Limits::Lifted, true).await
            }
            Self::Tracking => cluster.restart_scheduler(Limits::Lifted, false).await,
            Self::ScoringSpread => cluster.restart_scheduler_scoring(&shape(10, 0)).await,
            Self::ScoringPacked => cluster.restart_scheduler_scoring(&shape(0, 10)).await,
        }
    }
}

/// The scores of a node of which nothing is used, and of one of which all is.
fn shape(unused: u8, used: u8) -> Value {
    json!([{ "utilization": 0, "score": unused }, { "utilization": 100, "score": used }])
}
