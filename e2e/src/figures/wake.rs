//! How long a pod waits in vain: from the moment at which bytes are free that it could use until kube-scheduler has it in a queue
//! again.
//!
//! They are bytes that no capacity object tells of, because each node has a larger hole: nobody but the extender wakes the pod.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use cluster::waits_for_node;
use crds::PmemNode;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use placement::Bytes;
use tokio::time::{sleep, timeout};

use super::delays::{milliseconds, now, percentile};
use super::figure::Figure;
use crate::harness::hollow::pods::{NAMESPACE, claim_object, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits, NodeControl};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const NODES: u32 = 20;
/// One pod waits in each.
const ROUNDS: u32 = 60;
/// "p99 <= 2 s from free bytes until it is queued"
const GOAL: f64 = 2000.0;
/// Somebody else's namespaces on each node, which has two regions of 1 GiB. What is left is 576 MiB, and where the first was, 256 MiB.
const STRANGERS: [(&str, &str, Bytes); 3] = [
    (FREED, "emulated-0", Bytes::mib(256)),
    ("second", "emulated-0", Bytes::mib(192)),
    ("whole", "emulated-1", Bytes::gib(1)),
];
const FREED: &str = "first";
const REST: Bytes = Bytes::mib(576);
/// The claims of the pod: the larger one fits from the beginning.
const CLAIMS: [(&str, &str); 2] = [("large", "550Mi"), ("small", "200Mi")];
const POD: &str = "patient";
/// Between two looks at what kube-scheduler has counted.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A pod that nobody queued for so long is not about to be.
const AT_REST: Duration = Duration::from_secs(3);

/// Measures in a cluster of its own. If something fails, the logs are kept.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    let mut delays = HollowCluster::measure("wake", Limits::Default, measure_in).await?;
    delays.sort_by(f64::total_cmp);
    let figure = |name: &str, per_cent: usize| -> Result<Figure> {
        let delay = percentile(&delays, per_cent).context("nothing was measured")?;
        Ok(Figure::new(&format!("wake_queued_{name}"), delay, "ms"))
    };
    Ok(vec![
        figure("p50", 50)?,
        figure("p99", 99)?.at_most(GOAL),
        figure("max", 100)?,
    ])
}

async fn measure_in(cluster: &mut HollowCluster) -> Result<Vec<f64>> {
    cluster.start_with_extender(NODES).await?;
    cluster.restart_scheduler(Limits::Default, true).await?;
    let mut nodes = NodeControl::connect(&cluster.node_control()).await?;
    step("filling the nodes", fill(&mut nodes)).await?;
    for number in 0..NODES {
        has_free(&cluster.client(), &format!("hollow-{number}"), |free| free == REST).await?;
    }
    let rounds = async {
        let mut delays = Vec::new();
        for round in 0..ROUNDS {
            delays.push(one_round(cluster, &mut nodes, &format!("hollow-{}", round % NODES)).await?);
        }
        Ok(delays)
    };
    step("waking pods", rounds).await
}

async fn fill(nodes: &mut NodeControl) -> Result<()> {
    for number in 0..NODES {
        for (name, region, footprint) in STRANGERS {
            nodes
                .create(&format!("hollow-{number}"), name, region, footprint)
                .await?;
        }
    }
    Ok(())
}

/// A pod waits, bytes are freed on one node, and it is queued. All is as before then. The answer is in milliseconds.
async fn one_round(cluster: &mut HollowCluster, nodes: &mut NodeControl, node: &str) -> Result<f64> {
    let client = cluster.client();
    for (name, size) in CLAIMS {
        make::<PersistentVolumeClaim>(&client, &claim_object(name, size)).await?;
    }
    make::<Pod>(&client, &pod_object(POD, &CLAIMS.map(|(name, _)| name.to_owned()))).await?;
    is_refused(cluster).await?;
    let before = queued_at_rest(cluster).await?;
    let freed = nodes.destroy(node, FREED).await?;
    let at = is_queued(cluster, before).await?;
    runs_on(cluster, node).await?;
    // What is reported may be older than what is there: each change has to be seen before the next.
    has_free(&client, node, |free| free < REST).await?;
    clean_up(&client).await?;
    has_free(&client, node, |free| free == REST.plus(STRANGERS[0].2)).await?;
    nodes.create(node, FREED, STRANGERS[0].1, STRANGERS[0].2).await?;
    has_free(&client, node, |free| free == REST).await?;
    sleep(AT_REST).await;
    milliseconds(freed, at)
}

async fn has_free(client: &Client, node: &str, is_so: impl Fn(Bytes) -> bool) -> Result<()> {
    let api: Api<PmemNode> = Api::all(client.clone());
    until(&format!("the next report of {node}"), HANG_LIMIT, async || {
        match api.get(node).await {
            Ok(found) => match found.status.map(|status| status.totals.free) {
                Some(free) if is_so(free) => Probe::Ready(()),
                now => Probe::NotYet(anyhow!("it has {now:?}")),
            },
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}

async fn is_refused(cluster: &mut HollowCluster) -> Result<()> {
    cluster
        .wait_for("the pod to be refused", async |client| {
            let pod = Api::<Pod>::namespaced(client.clone(), NAMESPACE).get(POD).await?;
            waits_for_node(&pod).map(drop).context("nothing is said of it")
        })
        .await
}

/// How often kube-scheduler has put a pod into a queue from which it takes it by itself.
async fn queued(cluster: &HollowCluster) -> Result<f64> {
    let samples = cluster.scheduler_metrics().await?;
    let of = |queue: &str| {
        let label = format!("queue=\"{queue}\"");
        samples.sum("scheduler_queue_incoming_pods_total", &[&label])
    };
    Ok(of("active")? + of("backoff")?)
}

/// The same, once nothing queues the pod any more.
async fn queued_at_rest(cluster: &HollowCluster) -> Result<f64> {
    let resting = async {
        let mut last = queued(cluster).await?;
        loop {
            sleep(AT_REST).await;
            let now = queued(cluster).await?;
            if now <= last {
                return Ok(now);
            }
            last = now;
        }
    };
    timeout(HANG_LIMIT, resting)
        .await
        .context("the pod is queued again and again")?
}

/// Waits until kube-scheduler has counted one more, and returns when that was, in nanoseconds since 1970.
async fn is_queued(cluster: &HollowCluster, before: f64) -> Result<u64> {
    let counted = async {
        while queued(cluster).await? <= before {
            sleep(LOOK_EVERY).await;
        }
        Ok(now())
    };
    timeout(HANG_LIMIT, counted).await.context("nobody queues the pod")?
}

async fn runs_on(cluster: &mut HollowCluster, node: &str) -> Result<()> {
    let found = cluster
        .wait_for("a node for the pod", async |client| {
            let pod = Api::<Pod>::namespaced(client.clone(), NAMESPACE).get(POD).await?;
            pod.spec.and_then(|spec| spec.node_name).context("it has none")
        })
        .await?;
    ensure!(found == node, "{found} has it, not {node}");
    Ok(())
}

/// Deletes pod and claims, and waits until they are gone.
async fn clean_up(client: &Client) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
    pods.delete(POD, &DeleteParams::default().grace_period(0)).await?;
    for (name, _) in CLAIMS {
        claims.delete(name, &DeleteParams::default()).await?;
    }
    until("the claims to be gone", HANG_LIMIT, async || {
        match claims.list_metadata(&ListParams::default()).await {
            Ok(left) if left.items.is_empty() => Probe::Ready(()),
            Ok(left) => Probe::NotYet(anyhow!(
                "{:?} are left",
                left.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>()
            )),
            Err(error) => Probe::NotYet(error.into()),
        }
    })
    .await
}
