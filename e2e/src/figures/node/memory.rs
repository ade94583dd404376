//! The memory of the driver of a node with many volumes: its own code on emulated memory, without the sockets of the kubelet.

use anyhow::{Context, Result, anyhow};
use crds::{Phase, PmemVolume};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Api;
use kube::api::{ListParams, PostParams};
use placement::Bytes;
use serde_json::json;

use crate::figures::burst::mebibytes;
use crate::figures::figure::Figure;
use crate::harness::hollow::pods::PARALLEL;
use crate::harness::hollow::{HollowCluster, Limits, Nodes, Part, ResidentMemory};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const VOLUMES: u32 = 300;
const NODE: Nodes = Nodes {
    count: 1,
    region: "16Gi",
    regions: 2,
};
/// "resident memory: node-driver <= 15 MiB"
const GOAL: f64 = 15.0;

pub(super) async fn measure() -> Result<Vec<Figure>> {
    let memory = HollowCluster::measure("node", Limits::Lifted, measure_in).await?;
    let figure = |name: &str, bytes: Bytes| Figure::new(name, mebibytes(bytes), "MiB");
    Ok(vec![
        figure("node_driver_memory", memory.now).at_most(GOAL),
        figure("node_driver_memory_peak", memory.peak),
    ])
}

async fn measure_in(cluster: &mut HollowCluster) -> Result<ResidentMemory> {
    cluster.start_nodes(NODE)?;
    let volumes: Api<PmemVolume> = Api::all(cluster.client());
    step(&format!("making {VOLUMES} volumes"), make(&volumes)).await?;
    until("all volumes are ready", HANG_LIMIT, async || {
        match (cluster.check(), ready(&volumes).await) {
            (Err(error), _) => Probe::Never(error),
            (Ok(()), Ok(ready)) if ready == VOLUMES as usize => Probe::Ready(()),
            (Ok(()), Ok(ready)) => Probe::NotYet(anyhow!("{ready} of {VOLUMES} are")),
            (Ok(()), Err(error)) => Probe::NotYet(error),
        }
    })
    .await?;
    cluster.resident_memory(Part::Nodes)
}

async fn make(volumes: &Api<PmemVolume>) -> Result<()> {
    let one = |number: u32| async move {
        let spec = json!({ "node": "hollow-0", "required": 28 << 20, "mode": "fsdax" });
        let volume = PmemVolume::new(&format!("v{number}"), serde_json::from_value(spec)?);
        volumes
            .create(&PostParams::default(), &volume)
            .await
            .context("making a volume")?;
        Ok(())
    };
    stream::iter((0..VOLUMES).map(one))
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

async fn ready(volumes: &Api<PmemVolume>) -> Result<usize> {
    let all = volumes.list(&ListParams::default()).await?.items;
    let is_ready = |volume: &&PmemVolume| volume.status.as_ref().and_then(|status| status.phase) == Some(Phase::Ready);
    Ok(all.iter().filter(is_ready).count())
}
