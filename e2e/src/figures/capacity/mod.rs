//! How long it takes until the cluster shows a change on a node: namespaces that are no volumes come and go, and the
//! PmemNode, the extender's index and the CSIStorageCapacity object have to follow.
//!
//! Only the device watch notices such a change, so this is the longest way. (What a volume takes is in the index of extender
//! and operator before its namespace exists.)

mod extender_index;
mod observer;

use anyhow::{Context, Result, anyhow};
use crds::{PmemNode, TOPOLOGY_KEY, bytes_of_quantity};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use kube::{Api, ResourceExt};
use placement::{Bytes, MapLocation, Mode};

use super::delays::{milliseconds, percentile};
use super::figure::Figure;
use crate::harness::hollow::pods::can_be_made;
use crate::harness::hollow::{HollowCluster, Limits, NodeControl, Nodes};
use crate::harness::progress::step;
use crate::harness::wait::{HANG_LIMIT, Probe, until};
use extender_index::ExtenderIndex;
use observer::Observer;

const NODES: u32 = 30;
/// One namespace made and destroyed in each.
const ROUNDS: u32 = 300;
const REGION: (&str, Bytes) = ("1Gi", Bytes::gib(1));
const FOOTPRINT: Bytes = Bytes::mib(256);
const CLASS: &str = "daxfit-ext4";
/// "true within 250 ms"
const GOAL: f64 = 250.0;

/// The three places that have to follow.
struct Observers {
    pmem_node: Observer,
    index: ExtenderIndex,
    capacity: Observer,
}

/// Milliseconds from changes on nodes to their being seen.
#[derive(Debug, Default)]
struct Delays {
    pmem_node: Vec<f64>,
    index: Vec<f64>,
    capacity: Vec<f64>,
}

/// Measures in a cluster of its own. If something fails, the logs are kept.
pub(super) async fn measure() -> Result<Vec<Figure>> {
    HollowCluster::measure("capacity", Limits::Default, measure_in)
        .await?
        .figures()
}

async fn measure_in(cluster: &mut HollowCluster) -> Result<Delays> {
    let observers = step("starting operator, extender and nodes", prepare(cluster)).await?;
    let mut nodes = NodeControl::connect(&cluster.node_control()).await?;
    let mut delays = Delays::default();
    let rounds = async {
        for round in 0..ROUNDS {
            let node = format!("hollow-{}", round % NODES);
            let at = nodes.create(&node, "foreign", "emulated-0", FOOTPRINT).await?;
            delays.add(at, &observers, &node, FOOTPRINT).await?;
            let at = nodes.destroy(&node, "foreign").await?;
            delays.add(at, &observers, &node, Bytes::ZERO).await?;
            cluster.check()?;
        }
        Ok(())
    };
    step("making and destroying namespaces", rounds).await?;
    Ok(delays)
}

async fn prepare(cluster: &mut HollowCluster) -> Result<Observers> {
    cluster.start_operator()?;
    let nodes = Nodes {
        count: NODES,
        region: REGION.0,
        regions: 2,
    };
    cluster.start_nodes(nodes)?;
    cluster.start_extender().await?;
    let client = cluster.client();
    can_be_made(&client).await?;
    let observers = Observers {
        pmem_node: Observer::of(Api::all(client.clone()), free_of),
        index: ExtenderIndex::new(&client, cluster.extender()?).await?,
        capacity: Observer::of(Api::all(client), maximum_of),
    };
    let expected = usize::try_from(NODES)?;
    until("all nodes and their capacity", HANG_LIMIT, async || {
        match (cluster.check(), observers.pmem_node.count(), observers.capacity.count()) {
            (Err(error), ..) => Probe::Never(error),
            (Ok(()), nodes, capacities) if nodes == expected && capacities == expected => Probe::Ready(()),
            (Ok(()), nodes, capacities) => Probe::NotYet(anyhow!("{nodes} nodes, capacity of {capacities}")),
        }
    })
    .await?;
    Ok(observers)
}

/// Raw free bytes.
fn free_of(node: &PmemNode) -> Option<(String, Bytes)> {
    Some((node.name_any(), node.status.as_ref()?.totals.free))
}

/// The largest volume of one class on NUMA node 0.
fn maximum_of(object: &CSIStorageCapacity) -> Option<(String, Bytes)> {
    let on_numa_0 = object.labels().get("csi.daxfit.dev/numa")? == "0";
    let node = object
        .node_topology
        .as_ref()?
        .match_labels
        .as_ref()?
        .get(TOPOLOGY_KEY)?;
    let maximum = bytes_of_quantity(object.maximum_volume_size.as_ref()?).ok()?;
    (on_numa_0 && object.storage_class_name == CLASS).then(|| (node.clone(), maximum))
}

impl Delays {
    /// Waits until all see that `taken` bytes are taken on `node` since `at`.
    async fn add(&mut self, at: u64, observers: &Observers, node: &str, taken: Bytes) -> Result<()> {
        let free = REGION.1.times(2).minus(taken);
        let largest = Mode::Fsdax(MapLocation::Dev).usable(REGION.1.minus(taken));
        let (pmem_node, index, capacity) = tokio::try_join!(
            observers.pmem_node.wait_for(node, free),
            observers.index.wait_for(node, free),
            observers.capacity.wait_for(node, largest),
        )?;
        self.pmem_node.push(milliseconds(at, pmem_node)?);
        self.index.push(milliseconds(at, index)?);
        self.capacity.push(milliseconds(at, capacity)?);
        Ok(())
    }

    fn figures(self) -> Result<Vec<Figure>> {
        let places = [
            ("pmemnode", self.pmem_node),
            ("index", self.index),
            ("object", self.capacity),
        ];
        let mut figures = Vec::new();
        for (place, mut delays) in places {
            delays.sort_by(f64::total_cmp);
            let figure = |name: &str, per_cent: usize| -> Result<Figure> {
                let delay = percentile(&delays, per_cent).context("nothing was measured")?;
                Ok(Figure::new(&format!("capacity_{place}_{name}"), delay, "ms"))
            };
            figures.push(figure("p50", 50)?);
            figures.push(figure("p99", 99)?.at_most(GOAL));
            figures.push(figure("max", 100)?);
        }
        Ok(figures)
    }
}
