//! Which pods have a node, and since when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tokio::task::JoinSet;

/// The pods of one namespace, watched as long as this lives.
pub(super) struct Placements {
    since: Arc<Mutex<Since>>,
    _watch: JoinSet<()>,
}

/// When each pod, by its unique id, was first seen with a node.
type Since = BTreeMap<String, Instant>;

impl Placements {
    /// Begins to watch.
    pub(super) fn watch(client: &Client, namespace: &str) -> Self {
        let since = Arc::<Mutex<Since>>::default();
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let mut task = JoinSet::new();
        task.spawn(note_all(pods, Arc::clone(&since)));
        Self { since, _watch: task }
    }

    /// The times at which pods were seen to have a node, in order.
    pub(super) fn times(&self) -> Vec<Instant> {
        let mut times: Vec<Instant> = lock(&self.since).values().copied().collect();
        times.sort_unstable();
        times
    }

    /// How many pods have a node.
    pub(super) fn count(&self) -> usize {
        lock(&self.since).len()
    }
}

fn lock(since: &Mutex<Since>) -> MutexGuard<'_, Since> {
    since.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn note_all(pods: Api<Pod>, since: Arc<Mutex<Since>>) {
    let events = watch(pods, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(pod) | Event::InitApply(pod)) if has_node(&pod) => {
                lock(&since)
                    .entry(pod.uid().unwrap_or_default())
                    .or_insert_with(Instant::now);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the watch of pods failed and is repeated: {error}"),
        }
    }
}

fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}
