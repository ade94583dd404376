//! Writes CSIStorageCapacity objects: only what differs, as soon as the index changes.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::{Change, desired, diff};
use crate::capacity_object::{Capacity, PublishedCapacity};
use crate::index::{Index, SharedIndex};

/// Pause before each round of writes: a burst of events becomes one write for each object, far within the 250 ms in which
/// capacity has to be true.
const SETTLE: Duration = Duration::from_millis(20);
/// Pause before a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Most writes at a time.
const PARALLEL: usize = 32;

/// Keeps the objects in `namespace` as they should be. It never returns.
pub async fn run(client: Client, namespace: String, index: SharedIndex) {
    let api = Api::namespaced(client, &namespace);
    let mut retries = JoinSet::new();
    loop {
        index.wait_for(|index| index.is_dirty().then_some(())).await;
        tokio::time::sleep(SETTLE).await;
        let failed = write_once(&api, &namespace, &index).await;
        if !failed.is_empty() {
            retries.spawn(retry_later(index.clone(), failed));
        }
        while retries.try_join_next().is_some() {}
    }
}

/// Writes what differs now. Returns the nodes of which a write failed.
pub async fn write_once(api: &Api<CSIStorageCapacity>, namespace: &str, index: &SharedIndex) -> BTreeSet<String> {
    let changes = index.update(due);
    let writes = changes.into_iter().map(async |change| {
        let node = change.node().unwrap_or_default().to_owned();
        match write(api, namespace, &change).await {
            Ok(written) => {
                record(index, written);
                None
            }
            Err(error) => {
                forget_if_gone(index, &change, &error);
                warn!(
                    ?change,
                    error = program::chain(&error),
                    "capacity not written, trying again"
                );
                Some(node)
            }
        }
    });
    let results = stream::iter(writes).buffer_unordered(PARALLEL);
    results.filter_map(async |failed| failed).collect().await
}

/// The writes for the nodes that are dirty. Nothing is dirty afterwards.
fn due(index: &mut Index) -> Vec<Change> {
    let nodes = index.take_dirty();
    let of_node = |node: &String| diff(desired(index, node), index.capacities(node));
    nodes.iter().flat_map(of_node).collect()
}

enum Written {
    Object(Box<CSIStorageCapacity>, Capacity),
    Deleted(String),
}

async fn write(api: &Api<CSIStorageCapacity>, namespace: &str, change: &Change) -> kube::Result<Written> {
    match change {
        Change::Create(to) => {
            let object = api.create(&PostParams::default(), &to.to_object(namespace)).await?;
            info!(node = to.node, class = to.class, usable = %to.usable, "capacity object created");
            Ok(Written::Object(Box::new(object), to.clone()))
        }
        Change::Update {
            to,
            uid,
            resource_version,
        } => {
            let patch = Patch::Merge(to.to_patch(uid, resource_version));
            let object = api.patch(&to.name(), &PatchParams::default(), &patch).await?;
            debug!(node = to.node, class = to.class, usable = %to.usable, "capacity object updated");
            Ok(Written::Object(Box::new(object), to.clone()))
        }
        Change::Delete {
            name,
            uid,
            resource_version,
            ..
        } => {
            delete(api, name, uid, resource_version).await?;
            info!(name, "capacity object deleted");
            Ok(Written::Deleted(name.clone()))
        }
    }
}

/// The watch may have shown the end of an object before the answer to its creation came: nobody shows it again.
fn forget_if_gone(index: &SharedIndex, change: &Change, error: &kube::Error) {
    if let (Change::Update { to, .. }, kube::Error::Api(status)) = (change, error)
        && status.is_not_found()
    {
        index.update(|index| index.capacity_deleted(&to.name()));
    }
}

/// Already gone counts as success.
async fn delete(api: &Api<CSIStorageCapacity>, name: &str, uid: &str, resource_version: &str) -> kube::Result<()> {
    let this_version = Preconditions {
        uid: Some(uid.into()),
        resource_version: Some(resource_version.into()),
    };
    match api
        .delete(name, &DeleteParams::default().preconditions(this_version))
        .await
    {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(|_| ()),
    }
}

fn record(index: &SharedIndex, written: Written) {
    match written {
        Written::Object(object, to) => {
            index.update(|index| index.capacity_written(to.name(), PublishedCapacity::of(&object)));
        }
        Written::Deleted(name) => index.update(|index| index.capacity_deleted(&name)),
    }
}

async fn retry_later(index: SharedIndex, nodes: BTreeSet<String>) {
    tokio::time::sleep(RETRY).await;
    index.update(|index| index.mark_dirty(nodes));
}
