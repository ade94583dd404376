//! The capacity objects as a person sees them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use placement::Bytes;

use crate::harness::kubectl::Kubectl;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Largest volume by node, NUMA node and class.
pub(crate) type Capacity = BTreeMap<(String, String, String), Bytes>;

/// The labels of the CSIStorageCapacity objects that say what a node has. The extender's `daxfit-wake` says nothing.
pub(crate) const OF_NODES: &str = "csi.storage.k8s.io/drivername=csi.daxfit.dev";

/// What the CSIStorageCapacity objects of Daxfit have now.
pub(crate) async fn published(kubectl: &Kubectl) -> Result<Capacity> {
    let items = kubectl.items(&["csistoragecapacities", "-A", "-l", OF_NODES]).await?;
    items.iter().map(entry).collect()
}

/// Waits until `expected` accepts what they have, and returns it.
pub(crate) async fn becomes(kubectl: &Kubectl, what: &str, expected: impl Fn(&Capacity) -> bool) -> Result<Capacity> {
    until(what, HANG_LIMIT, async || match published(kubectl).await {
        Ok(capacity) if expected(&capacity) => Probe::Ready(capacity),
        Ok(capacity) => Probe::NotYet(anyhow!("capacity is {capacity:#?}")),
        Err(error) => Probe::NotYet(error),
    })
    .await
}

fn entry(object: &serde_json::Value) -> Result<((String, String, String), Bytes)> {
    let text = |pointer: &str| object.pointer(pointer).and_then(|v| v.as_str()).map(str::to_owned);
    let node =
        text("/nodeTopology/matchLabels/topology.csi.daxfit.dev~1node").context("no node in a capacity object")?;
    let numa = text("/metadata/labels/csi.daxfit.dev~1numa").context("no NUMA node in a capacity object")?;
    let class = text("/storageClassName").context("no class in a capacity object")?;
    let size = text("/maximumVolumeSize").context("no maximumVolumeSize in a capacity object")?;
    let size = crds::bytes_of_quantity(&k8s_openapi::apimachinery::pkg::api::resource::Quantity(size))?;
    Ok(((node, numa, class), size))
}
