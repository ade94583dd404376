//! Carries the pods without node onto the board.

use futures::{Stream, StreamExt, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{self, Config, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use super::{Board, WaitingPod};
use crate::chain::chain;

/// Pods that have no node and have not ended.
const WAITING: &str = "spec.nodeName=,status.phase=Pending";
/// Pods in one answer of the API server: whole ones are in memory for a moment only.
const PAGE: u32 = 100;

/// Watches the pods without node, for ever; after an error again, with growing pauses.
pub async fn run(client: Client, board: &Board) {
    let config = Config::default().fields(WAITING).page_size(PAGE);
    feed(watch(Api::<Pod>::all(client), config).default_backoff(), board).await;
}

/// Carries `events` onto the board until they end.
pub async fn feed(events: impl Stream<Item = watcher::Result<Event<Pod>>>, board: &Board) {
    pin_mut!(events);
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => listed.extend(WaitingPod::of(&pod)),
            Ok(Event::InitDone) => board.reset(std::mem::take(&mut listed)),
            Ok(Event::Apply(pod)) => apply(&pod, board),
            Ok(Event::Delete(pod)) => board.remove(&pod.uid().unwrap_or_default()),
            Err(error) => warn!(error = chain(&error), "watch of pods failed, trying again"),
        }
    }
}

fn apply(pod: &Pod, board: &Board) {
    match WaitingPod::of(pod) {
        Some(waiting) => board.put(waiting),
        None => board.remove(&pod.uid().unwrap_or_default()),
    }
}
