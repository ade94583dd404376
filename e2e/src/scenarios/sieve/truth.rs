//! What the capacity objects have to say, from all objects as they are now.

use anyhow::{Result, anyhow};
use cluster::{Class, ClassSettings};
use crds::{PmemNode, PmemVolume};
use k8s_openapi::api::storage::v1::StorageClass;
use placement::{Bytes, Node};
use serde::de::DeserializeOwned;

use crate::harness::capacity::{Capacity, published};
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

/// Waits until the capacity that is published is what nodes, volumes and classes say.
pub(super) async fn capacity_is_true(cluster: &TestCluster) -> Result<()> {
    until("capacity is true", HANG_LIMIT, async || match compare(cluster).await {
        Ok((published, expected)) if published == expected => Probe::Ready(()),
        Ok((published, expected)) => Probe::NotYet(anyhow!("published: {published:?}; true: {expected:?}")),
        Err(error) => Probe::NotYet(error),
    })
    .await
}

async fn compare(cluster: &TestCluster) -> Result<(Capacity, Capacity)> {
    Ok((published(&cluster.kubectl).await?, expected(cluster).await?))
}

async fn expected(cluster: &TestCluster) -> Result<Capacity> {
    let nodes: Vec<PmemNode> = all(cluster, "pmemnodes").await?;
    let volumes: Vec<PmemVolume> = all(cluster, "pmemvolumes").await?;
    let classes: Vec<StorageClass> = all(cluster, "storageclasses").await?;
    let mut expected = Capacity::new();
    for node in &nodes {
        let (Some(name), Some(status)) = (&node.metadata.name, &node.status) else {
            continue;
        };
        let here = volumes.iter().filter(|volume| volume.spec.node == *name);
        let free = ::cluster::free_space(status, here);
        for class in &classes {
            expected.extend(of_class(name, &free, class));
        }
    }
    Ok(expected)
}

fn of_class(node: &str, free: &Node, class: &StorageClass) -> Capacity {
    let settings = Class::from(class);
    let settings = settings.ours().and_then(|ours| ours.settings.as_ref().ok());
    let name = class.metadata.name.clone().unwrap_or_default();
    let numas = free.regions.iter().filter_map(|region| region.numa);
    let largest = |settings: &ClassSettings, numa| {
        let parameters = &settings.parameters;
        let largest = free.largest_usable(parameters.mode.with_map(parameters.map), Some(numa));
        let least = settings.filesystem.smallest_request();
        if largest < least { Bytes::ZERO } else { largest }
    };
    let of_numa = |numa| {
        let settings = settings?;
        let allowed = settings.parameters.numa.allows(Some(numa));
        allowed.then(|| {
            (
                (node.to_owned(), numa.to_string(), name.clone()),
                largest(settings, numa),
            )
        })
    };
    numas.filter_map(of_numa).collect()
}

async fn all<K: DeserializeOwned>(cluster: &TestCluster, kind: &str) -> Result<Vec<K>> {
    let items = cluster.kubectl.items(&[kind]).await?;
    items
        .into_iter()
        .map(|item| Ok(serde_json::from_value(item)?))
        .collect()
}
