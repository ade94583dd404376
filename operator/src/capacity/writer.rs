//! Writes CSIStorageCapacity objects: only what differs, as soon as the index changes.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
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
/// Most nodes that are written at a time; each has an object for each class and NUMA node.
const NODES: usize = 16;
/// How long a write may take. What came of it then is not known: the watch shows it.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long the watch may take to show what was written, before it is written again.
const UNSHOWN: Duration = Duration::from_secs(10);

/// Keeps the objects in `namespace` as they should be. It never returns.
///
/// Each node is written by itself: a write that takes long keeps no other node waiting.
pub async fn run(client: Client, namespace: String, index: SharedIndex) {
    let api = Api::namespaced(client, &namespace);
    let (mut busy, mut writing) = (BTreeSet::new(), FuturesUnordered::new());
    let mut retries = JoinSet::new();
    loop {
        let idle = |index: &Index| (busy.len() < NODES && index.is_dirty_beside(&busy)).then_some(());
        tokio::select! {
            Some(written) = writing.next() => {
                let (node, is_written): (String, bool) = written;
                busy.remove(&node);
                if !is_written {
                    retries.spawn(retry_later(index.clone(), node));
                }
            }
            () = index.wait_for(idle) => {
                tokio::time::sleep(SETTLE).await;
                let due = index.update(|index| due(index, &busy, NODES - busy.len()));
                busy.extend(due.iter().map(|(node, _)| node.clone()));
                writing.extend(due.into_iter().map(|due| write_node(&api, &namespace, &index, due)));
            }
        }
        while retries.try_join_next().is_some() {}
    }
}

/// Has objects written again that the watch does not show: they may be gone. It never returns.
pub async fn doubt(index: SharedIndex) {
    let unshown = |index: &Index| Some(index.unshown_capacities()).filter(|unshown| !unshown.is_empty());
    loop {
        let unshown = index.wait_for(unshown).await;
        tokio::time::sleep(UNSHOWN).await;
        index.update(|index| index.doubt_capacities(&unshown));
    }
}

/// Writes what differs now. Returns the nodes of which a write failed.
pub async fn write_once(api: &Api<CSIStorageCapacity>, namespace: &str, index: &SharedIndex) -> BTreeSet<String> {
    let due = index.update(|index| due(index, &BTreeSet::new(), usize::MAX));
    let writes = due.into_iter().map(|due| write_node(api, namespace, index, due));
    let written = join_all(writes).await.into_iter();
    let failed = written.filter(|(_, is_written)| !is_written);
    failed.map(|(node, _)| node).collect()
}

/// The writes for `most` of the nodes that are dirty and not `busy`. These are not dirty afterwards.
fn due(index: &mut Index, busy: &BTreeSet<String>, most: usize) -> Vec<(String, Vec<Change>)> {
    let nodes = index.take_dirty_beside(busy, most);
    let changes = |node: String| {
        let is_doubted = |name: &str| index.is_capacity_doubted(name);
        let changes = diff(desired(index, &node), index.capacities(&node), is_doubted);
        (node, changes)
    };
    nodes.into_iter().map(changes).collect()
}

/// The node, and whether each of its changes was written.
async fn write_node(
    api: &Api<CSIStorageCapacity>,
    namespace: &str,
    index: &SharedIndex,
    (node, changes): (String, Vec<Change>),
) -> (String, bool) {
    let writes = changes
        .iter()
        .map(|change| write_and_record(api, namespace, index, change));
    let all = join_all(writes).await.into_iter().all(|is_written| is_written);
    (node, all)
}

async fn write_and_record(
    api: &Api<CSIStorageCapacity>,
    namespace: &str,
    index: &SharedIndex,
    change: &Change,
) -> bool {
    match tokio::time::timeout(TIME_LIMIT, write(api, namespace, change)).await {
        Ok(Ok(written)) => {
            record(index, written);
            true
        }
        Ok(Err(error)) => {
            forget_if_gone(index, change, &error);
            let error = program::chain(&error);
            warn!(?change, error, "capacity not written, trying again");
            false
        }
        Err(_) => {
            warn!(?change, "the API server has not answered, trying again");
            false
        }
    }
}

enum Written {
    Object(Box<CSIStorageCapacity>, Capacity),
    Deleted { name: String, uid: String },
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
            let (name, uid) = (name.clone(), uid.clone());
            Ok(Written::Deleted { name, uid })
        }
    }
}

/// The watch may have shown the end of an object before the answer to its creation came: nobody shows it again.
fn forget_if_gone(index: &SharedIndex, change: &Change, error: &kube::Error) {
    if let (Change::Update { to, uid, .. }, kube::Error::Api(status)) = (change, error)
        && status.is_not_found()
    {
        index.update(|index| index.capacity_ended(&to.name(), uid));
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
        Written::Deleted { name, uid } => index.update(|index| index.capacity_ended(&name, &uid)),
    }
}

async fn retry_later(index: SharedIndex, node: String) {
    tokio::time::sleep(RETRY).await;
    index.update(|index| index.mark_dirty([node]));
}
