//! One burst.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use super::aftermath::{Aftermath, Objects};
use super::demand::ClaimDemand;
use super::objects;
use super::way::Way;
use crate::figures::placements::Placements;
use crate::harness::hollow::pods::NAMESPACE;
use crate::harness::hollow::{HollowCluster, Limits, Nodes, Part, ResidentMemory, Samples};
use crate::harness::progress::step;

/// How long no pod has to get a node before it is checked whether one still can.
const QUIET: Duration = Duration::from_secs(15);
/// The scheduler tries pods again that it gave up five minutes ago (`podMaxInUnschedulablePodsDuration`): a pod that fits and
/// has no node after that is not going to get one.
const GIVEN_UP: Duration = Duration::from_secs(400);
/// Only ends a run that hangs.
const LIMIT: Duration = Duration::from_secs(7200);

/// A burst to be run.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) nodes: Nodes,
    pub(super) pods: &'a [Vec<ClaimDemand>],
    pub(super) way: Way,
}

/// What was counted.
pub(super) struct Outcome {
    pub(super) calls: Calls,
    pub(super) aftermath: Aftermath,
    /// From the first object to the last pod that got a node.
    pub(super) took: Duration,
    /// Requests that changed a CSIStorageCapacity object, from the first pod on.
    pub(super) capacity_writes: f64,
    /// What the operator and the extender keep in RAM at the end, by name.
    pub(super) memory: Vec<(&'static str, ResidentMemory)>,
}

/// `CreateVolume` calls, as the provisioner counts the answers.
pub(super) struct Calls {
    pub(super) succeeded: f64,
    pub(super) refused: f64,
    /// Neither: deadlines, another call at work, the API server.
    pub(super) otherwise: f64,
}

impl Run<'_> {
    /// Runs it in a cluster of its own. If something fails, the logs are kept.
    pub(super) async fn measure(&self) -> Result<Outcome> {
        HollowCluster::measure(self.way.prefix(), Limits::Lifted, async |cluster| {
            self.measure_in(cluster).await
        })
        .await
    }

    async fn measure_in(&self, cluster: &mut HollowCluster) -> Result<Outcome> {
        step("starting operator, provisioner and nodes", self.prepare(cluster)).await?;
        let client = cluster.client();
        let before = cluster.api_server_metrics().await?;
        let placements = Placements::watch(&client, NAMESPACE);
        let begun = Instant::now();
        let made = step("making pods and claims", objects::make(&client, self.pods));
        let settled = step("waiting for nodes for them", self.settle(cluster, &placements));
        let ((), aftermath) = tokio::try_join!(made, settled)?;
        let last = placements.times().last().copied().context("no pod got a node")?;
        Ok(Outcome {
            calls: calls(&cluster.provisioner_metrics().await?)?,
            took: last - begun,
            capacity_writes: capacity_writes(&cluster.api_server_metrics().await?)? - capacity_writes(&before)?,
            memory: self
                .ours()
                .map(|(name, part)| Ok((name, cluster.resident_memory(part)?)))
                .collect::<Result<_>>()?,
            aftermath,
        })
    }

    fn ours(&self) -> impl Iterator<Item = (&'static str, Part)> {
        let extender = (self.way == Way::Extender).then_some(("extender", Part::Extender));
        std::iter::once(("operator", Part::Operator)).chain(extender)
    }

    async fn prepare(&self, cluster: &mut HollowCluster) -> Result<()> {
        cluster.start_daxfit(self.nodes).await?;
        self.way.start(cluster).await
    }

    /// Waits until every pod has a node or cannot get one.
    async fn settle(&self, cluster: &mut HollowCluster, placements: &Placements) -> Result<Aftermath> {
        let begun = Instant::now();
        let mut moved = (Instant::now(), placements.count());
        let mut last: Option<Aftermath> = None;
        while begun.elapsed() < LIMIT {
            cluster.check()?;
            sleep(Duration::from_secs(1)).await;
            if placements.count() != moved.1 {
                moved = (Instant::now(), placements.count());
                continue;
            }
            let done = moved.1 == self.pods.len();
            if !done && moved.0.elapsed() < QUIET {
                continue;
            }
            let now = Objects::list(&cluster.client()).await?.aftermath()?;
            if self.at_rest(done, &now, last.as_ref(), moved.0.elapsed()) {
                return Ok(now);
            }
            eprintln!(
                "  {} pods have a node, {} of the others fit",
                now.placed,
                now.that_fit.len()
            );
            last = Some(now);
            sleep(QUIET).await;
        }
        bail!("the cluster does not come to rest")
    }

    /// Whether no pod will get a node any more. `done` is whether all have one, `last` what was found before, and `quiet` for
    /// how long no pod got one.
    fn at_rest(&self, done: bool, now: &Aftermath, last: Option<&Aftermath>, quiet: Duration) -> bool {
        let complete = now.placed + now.unplaced == self.pods.len();
        let hopeless = now.that_fit.is_empty() || quiet > GIVEN_UP;
        complete && (done || last == Some(now) && hopeless)
    }
}

fn calls(provisioner: &Samples) -> Result<Calls> {
    let count = |labels: &[&str]| {
        let method = "method_name=\"/csi.v1.Controller/CreateVolume\"";
        provisioner.sum("csi_sidecar_operations_seconds_count", &[labels, &[method]].concat())
    };
    let succeeded = count(&["grpc_status_code=\"OK\""])?;
    let refused = count(&["grpc_status_code=\"ResourceExhausted\""])?;
    Ok(Calls {
        succeeded,
        refused,
        otherwise: count(&[])? - succeeded - refused,
    })
}

fn capacity_writes(api_server: &Samples) -> Result<f64> {
    let of = |verb: &str| api_server.sum("apiserver_request_total", &["resource=\"csistoragecapacities\"", verb]);
    let verbs = [
        "verb=\"POST\"",
        "verb=\"PATCH\"",
        "verb=\"PUT\"",
        "verb=\"APPLY\"",
        "verb=\"DELETE\"",
    ];
    verbs.into_iter().map(of).sum()
}
