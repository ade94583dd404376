//! One round: so many pods with a claim each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Client;

use super::profile;
use crate::figures::delays::percentile;
use crate::figures::placements::Placements;
use crate::harness::hollow::HollowCluster;
use crate::harness::hollow::pods::{NAMESPACE, PARALLEL, claim_object, make, pod_object};

/// The process that this is about.
pub(super) const SCHEDULER: &str = "kube-scheduler";
const CLAIM: &str = "10Mi";

/// What processes have taken of the processors, by their names.
type Times = BTreeMap<&'static str, Duration>;

/// What was measured.
pub(super) struct Round {
    pods: u32,
    /// From the first pod until each had its node, in seconds and in order.
    waits: Vec<f64>,
    times: Times,
    /// How much of the scheduler's time went into comparing claims with CSIStorageCapacity objects.
    pub(super) in_capacity: f64,
}

impl Round {
    /// Makes `pods` pods whose names begin with `name`, and waits for their nodes.
    pub(super) async fn run(cluster: &mut HollowCluster, name: &str, pods: u32) -> Result<Self> {
        let client = cluster.client();
        let placements = Placements::watch(&client, NAMESPACE);
        let there = listed(cluster, &client, &placements).await?;
        let expected = there + usize::try_from(pods)?;
        let before = times(cluster)?;
        let begun = Instant::now();
        let name = name.replace('_', "-");
        let profiled = profile::in_capacity(cluster)?;
        let placed = async {
            make_all(&client, &name, pods).await?;
            all_placed(cluster, &placements, expected).await?;
            times(cluster)
        };
        let (after, in_capacity) = tokio::try_join!(placed, profiled)?;
        let seen = placements.times();
        Ok(Self {
            pods,
            waits: seen[there..].iter().map(|at| (*at - begun).as_secs_f64()).collect(),
            times: since(&before, after),
            in_capacity,
        })
    }

    /// Seconds of the processors that a process takes for each pod.
    pub(super) fn per_pod(&self, process: &str) -> f64 {
        self.times.get(process).map_or(0.0, Duration::as_secs_f64) / f64::from(self.pods)
    }

    /// The names of all processes.
    pub(super) fn processes(&self) -> Vec<&'static str> {
        self.times.keys().copied().collect()
    }

    /// Seconds until so many per cent of the pods had their node.
    pub(super) fn wait(&self, per_cent: usize) -> f64 {
        percentile(&self.waits, per_cent).unwrap_or_default()
    }

    pub(super) fn pods_per_second(&self) -> f64 {
        f64::from(self.pods) / self.wait(100)
    }
}

/// How many pods of earlier rounds there are, once the watch has shown them.
async fn listed(cluster: &mut HollowCluster, client: &Client, placements: &Placements) -> Result<usize> {
    let pods: kube::Api<Pod> = kube::Api::namespaced(client.clone(), NAMESPACE);
    let there = pods.list_metadata(&kube::api::ListParams::default()).await?.items.len();
    all_placed(cluster, placements, there).await?;
    Ok(there)
}

async fn all_placed(cluster: &mut HollowCluster, placements: &Placements, expected: usize) -> Result<()> {
    let placed = async |_: &Client| match placements.count() {
        count if count == expected => Ok(()),
        count => Err(anyhow!("{count} of {expected} have one")),
    };
    cluster.wait_for("a node for each pod", placed).await
}

fn times(cluster: &HollowCluster) -> Result<Times> {
    let times: Times = cluster.processor_times()?.into_iter().collect();
    times
        .contains_key(SCHEDULER)
        .then_some(times)
        .context("no scheduler runs")
}

fn since(before: &Times, after: Times) -> Times {
    let ended = after.into_iter();
    ended
        .filter_map(|(name, time)| Some((name, time.checked_sub(*before.get(name)?)?)))
        .collect()
}

async fn make_all(client: &Client, name: &str, pods: u32) -> Result<()> {
    let one = |number: u32| async move {
        let name = format!("{name}-{number}");
        make::<PersistentVolumeClaim>(client, &claim_object(&name, CLAIM)).await?;
        make::<Pod>(client, &pod_object(&name, std::slice::from_ref(&name))).await
    };
    stream::iter((0..pods).map(one))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}
