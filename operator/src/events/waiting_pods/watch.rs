//! The watch of the pods that wait.

use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::pod::WaitingPod;
use super::queue::WaitingPods;
use crate::chain::chain;

/// Pods that have no node and have not ended.
const WAITING: &str = "spec.nodeName=,status.phase=Pending";
/// Pods in one page of a list: whole pods are in memory for a moment only.
const PAGE: u32 = 100;

/// Watches the pods without node. It never returns: after an error it tries again, with growing pauses.
pub async fn run(client: Client, pods: &WaitingPods) {
    let config = Config::default().fields(WAITING).page_size(PAGE);
    feed(watch(Api::<Pod>::all(client), config).default_backoff(), pods).await;
}

/// Carries `events` into `pods` until they end.
pub async fn feed(events: impl Stream<Item = watcher::Result<Event<Pod>>>, pods: &WaitingPods) {
    pin_mut!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => listed.extend(WaitingPod::of(&pod)),
            Ok(Event::InitDone) => pods.reset(std::mem::take(&mut listed)),
            Ok(Event::Apply(pod)) => apply(&pod, pods),
            Ok(Event::Delete(pod)) => pods.remove(&pod.uid().unwrap_or_default()),
            Err(error) => warn!(error = chain(&error), "watch of pods failed, trying again"),
        }
    }
}

fn apply(pod: &Pod, pods: &WaitingPods) {
    match WaitingPod::of(pod) {
        Some(waiting) => pods.put(waiting),
        None => pods.remove(&pod.uid().unwrap_or_default()),
    }
}
