//! What kube-scheduler has to walk through for each node and claim.

use anyhow::{Context, Result};
use crds::{DRIVER_NAME, TOPOLOGY_KEY};
use k8s_openapi::api::storage::v1::{CSIDriver, CSIStorageCapacity};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use crate::harness::hollow::{HollowCluster, Limits};
use crate::harness::kubectl::SYSTEM_NAMESPACE;

/// A state of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// An object for each node, NUMA node and class, with two NUMA nodes.
    NumaNodes,
    /// The same, and a few objects for each class that match all nodes: the walk ends at the first of them.
    Coarse,
    /// `CSIDriver.spec.storageCapacity: false`: it walks through nothing.
    Nothing,
    /// The same, and the extender is asked about all nodes: nothing else knows which of them are full.
    NothingOfAll,
    /// An object for each node and class.
    Nodes,
}

/// The coarse objects of each class.
const COARSE: u32 = 8;
const COARSE_LABEL: &str = "claims-throughput/coarse";
const CLASSES: [&str; 3] = ["daxfit-ext4", "daxfit-xfs", "daxfit-sector"];

impl Walk {
    /// What is measured where nodes have two NUMA nodes. The first is what all is compared with.
    pub(super) const OF_TWO: &[Self] = &[Self::NumaNodes, Self::Coarse, Self::Nothing, Self::NothingOfAll];
    /// What is measured where nodes have one.
    pub(super) const OF_ONE: &[Self] = &[Self::Nodes];

    /// In the names of figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NumaNodes => "numa_nodes",
            Self::Coarse => "coarse",
            Self::Nothing => "nothing",
            Self::NothingOfAll => "nothing_of_all",
            Self::Nodes => "nodes",
        }
    }

    /// Brings the cluster there, and starts the scheduler anew.
    pub(super) async fn enter(self, cluster: &mut HollowCluster) -> Result<()> {
        let client = cluster.client();
        track(&client, !matches!(self, Self::Nothing | Self::NothingOfAll)).await?;
        remove_coarse(&client).await?;
        if self == Self::Coarse {
            make_coarse(&client).await?;
        }
        match self {
            Self::NothingOfAll => cluster.restart_scheduler_over_all_nodes().await,
            Self::NumaNodes | Self::Coarse | Self::Nothing | Self::Nodes => {
                cluster.restart_scheduler(Limits::Lifted, true).await
            }
        }
    }
}

async fn track(client: &Client, capacity: bool) -> Result<()> {
    let drivers: Api<CSIDriver> = Api::all(client.clone());
    let patch = Patch::Merge(json!({ "spec": { "storageCapacity": capacity } }));
    let patched = drivers.patch(DRIVER_NAME, &PatchParams::default(), &patch).await;
    patched.map(drop).context("patching the CSIDriver")
}

async fn remove_coarse(client: &Client) -> Result<()> {
    let capacities: Api<CSIStorageCapacity> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let coarse = ListParams::default().labels(COARSE_LABEL);
    let removed = capacities.delete_collection(&DeleteParams::default(), &coarse).await;
    removed.map(drop).context("deleting coarse capacities")
}

async fn make_coarse(client: &Client) -> Result<()> {
    let capacities: Api<CSIStorageCapacity> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    for class in CLASSES {
        for number in 0..COARSE {
            let object = serde_json::from_value(json!({
                "metadata": { "name": format!("coarse-{class}-{number}"), "labels": { COARSE_LABEL: "" } },
                "storageClassName": class,
                "maximumVolumeSize": "1Gi",
                "nodeTopology": { "matchExpressions": [{ "key": TOPOLOGY_KEY, "operator": "Exists" }] },
            }))?;
            let made = capacities.create(&PostParams::default(), &object).await;
            made.with_context(|| format!("making a coarse capacity of {class}"))?;
        }
    }
    Ok(())
}
