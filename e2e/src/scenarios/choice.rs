//! Which node kube-scheduler takes where it has the choice, and what is reserved meanwhile. On hollow nodes: it takes several.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use axum::routing::post;
use axum::{Json, Router};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::held::{held_nodes, holds_nothing, onlooker};
use crate::harness::hollow::pods::{NAMESPACE, claim_object, claim_spec, make, pod_object};
use crate::harness::hollow::{HollowCluster, Limits};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// What each claim asks for.
const SIZE: &str = "50Mi";
/// How many `StatefulSets` come, one after the other.
const SETS: usize = 10;
/// More than pods come within it before the extender takes them for a burst: see docs/scheduling.md.
const PAUSE: Duration = Duration::from_secs(4);
/// Of the second extender.
const PORT: u16 = 10400;
/// As often as the second extender refuses the pod, at least. At first it held twice as many nodes each time.
const REFUSALS: usize = 30;
/// What a pod is offered at most (`--candidates`).
const OFFERED: usize = 8;
/// Three equal replicas, without any affinity written, on three nodes that all have room for all of them.
pub(super) async fn replicas_of_an_owner_are_on_nodes_of_their_own() -> Result<()> {
    HollowCluster::measure("replicas", Limits::Default, async |cluster| {
        cluster.start_with_extender(3).await?;
        cluster.restart_scheduler(Limits::Default, true).await?;
        for number in 0..SETS {
            let set = format!("set-{number}");
            make::<StatefulSet>(&cluster.client(), &stateful_set(&set)).await?;
            let mut nodes = step(&format!("nodes for {set}"), nodes_of(cluster, &set, 3)).await?;
            nodes.sort_unstable();
            nodes.dedup();
            ensure!(nodes.len() == 3, "the replicas of {set} are on {nodes:?}");
            sleep(PAUSE).await;
        }
        rather_apart(cluster).await
    })
    .await
}

/// Pods of nobody, which say themselves that they would rather not be where another of them is. All nodes have room for all of them.
async fn rather_apart(cluster: &mut HollowCluster) -> Result<()> {
    for number in 0..3 {
        let name = format!("loner-{number}");
        make::<PersistentVolumeClaim>(&cluster.client(), &claim_object(&name, SIZE)).await?;
        let mut pod = pod_object(&name, std::slice::from_ref(&name));
        pod["metadata"]["labels"] = json!({ "app": "loner" });
        pod["spec"]["affinity"] = json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": { "matchLabels": { "app": "loner" } },
            },
        }] } });
        make::<Pod>(&cluster.client(), &pod).await?;
    }
    let mut nodes = step(
        "nodes for pods that would rather be apart",
        nodes_of(cluster, "loner", 3),
    )
    .await?;
    nodes.sort_unstable();
    nodes.dedup();
    ensure!(nodes.len() == 3, "the pods that would rather be apart are on {nodes:?}");
    Ok(())
}

/// Another extender, which is asked after ours, refuses every node.
pub(super) async fn a_pod_that_comes_back_holds_one_choice_of_nodes() -> Result<()> {
    HollowCluster::measure("comes-back", Limits::Default, async |cluster| {
        cluster.start_with_extender(24).await?;
        let asked = serve_refusals(cluster)?;
        // As ours is: kube-scheduler asks those that are ignorable after all others (`buildExtenders` in `pkg/scheduler/scheduler.go`).
        let another = json!({
            "urlPrefix": format!("http://10.77.0.1:{PORT}"), "filterVerb": "filter", "nodeCacheCapable": true, "ignorable": true,
        });
        cluster.restart_scheduler_with(another).await?;
        let client = cluster.client();
        make::<PersistentVolumeClaim>(&client, &claim_object("looks", SIZE)).await?;
        make::<Pod>(&client, &onlooker("looks")).await?;
        make::<PersistentVolumeClaim>(&client, &claim_object("comes-back", SIZE)).await?;
        make::<Pod>(&client, &pod_object("comes-back", &["comes-back".into()])).await?;
        let mut most = 0;
        until("the pod to come back again and again", HANG_LIMIT, async || {
            if let Err(error) = cluster.check() {
                return Probe::Never(error);
            }
            match wake(&client).await.and(held_nodes(cluster, "looks").await) {
                Ok(nodes) => most = most.max(nodes),
                Err(error) => return Probe::NotYet(error),
            }
            match asked.load(Ordering::Relaxed) {
                often if often >= REFUSALS && most > 0 => Probe::Ready(()),
                often => Probe::NotYet(anyhow!("refused {often} times, held on {most} nodes")),
            }
        })
        .await?;
        ensure!(most <= OFFERED, "it held {most} nodes at once");
        let pods: Api<Pod> = Api::namespaced(client, NAMESPACE);
        pods.delete("comes-back", &DeleteParams::default().grace_period(0))
            .await?;
        holds_nothing(cluster, "looks").await
    })
    .await
}

/// Answers each call of `filter` with no node, and counts them.
fn serve_refusals(cluster: &HollowCluster) -> Result<Arc<AtomicUsize>> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let refuse = move |Json(args): Json<Value>| {
        counted.fetch_add(1, Ordering::Relaxed);
        let names = args["NodeNames"].as_array().cloned().unwrap_or_default();
        let failed: serde_json::Map<String, Value> = names
            .iter()
            .filter_map(|name| Some((name.as_str()?.to_owned(), json!("never"))))
            .collect();
        std::future::ready(Json(json!({ "NodeNames": [], "FailedNodes": failed })))
    };
    let listener = cluster.listen(PORT)?;
    let app = Router::new().route("/filter", post(refuse));
    let server = axum_server::from_tcp(listener).context("serving refusals")?;
    tokio::spawn(server.serve(app.into_make_service()));
    Ok(asked)
}

/// kube-scheduler tries a pod again that an extender refused when a claim changes, and otherwise after five minutes.
async fn wake(client: &Client) -> Result<()> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NAMESPACE);
    let now = format!("{:?}", Instant::now());
    let patch = json!({ "metadata": { "annotations": { "daxfit.dev/test": now } } });
    claims
        .patch("looks", &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    Ok(())
}

/// The nodes of the pods of an app, once all have one.
async fn nodes_of(cluster: &mut HollowCluster, app: &str, many: usize) -> Result<Vec<String>> {
    let of_app = ListParams::default().labels(&format!("app={app}"));
    cluster
        .wait_for(&format!("nodes for the pods of {app}"), async |client| {
            let found = Api::<Pod>::namespaced(client.clone(), NAMESPACE).list(&of_app).await?;
            let nodes = found.items.into_iter().filter_map(|pod| pod.spec?.node_name);
            let nodes: Vec<String> = nodes.collect();
            ensure!(nodes.len() == many, "so far {nodes:?}");
            Ok(nodes)
        })
        .await
}

/// Its pods come all at once: without a kubelet none becomes ready.
fn stateful_set(name: &str) -> Value {
    let mut pod = pod_object("replica", &["data".into()]);
    pod["spec"]["volumes"] = json!([]);
    json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": 3,
            "podManagementPolicy": "Parallel",
            "serviceName": name,
            "selector": { "matchLabels": { "app": name } },
            "template": { "metadata": { "labels": { "app": name } }, "spec": pod["spec"] },
            "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": claim_spec(SIZE) }],
        },
    })
}
