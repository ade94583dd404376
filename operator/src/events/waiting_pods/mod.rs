//! Events on pods that wait for persistent memory that no node has.
//!
//! The scheduler's `VolumeBinding` plugin rules out each node whose CSIStorageCapacity is too small before any extender
//! is called, and says only "node(s) did not have enough free storage". The event names what was asked and the largest
//! extent.

mod being_erased;
mod event;
mod explain;
mod pod;
mod queue;
mod refusal;

use std::time::Duration;

use cluster::names::PODS_WITHOUT_NODE;
use cluster::watch;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Config;
use kube::{Api, Client};
use tokio::time::MissedTickBehavior;

pub use being_erased::being_erased;
pub use explain::Explainer;
pub use pod::WaitingPod;
pub use queue::WaitingPods;
pub use refusal::refusal;

use crate::index::{Index, SharedIndex};

/// How often the pods that wait for our memory are due again: free space may have changed, or a request failed.
const PERIOD: Duration = Duration::from_secs(30);
/// Pods in one page of a list: whole pods are in memory for a moment only.
const PAGE: u32 = 100;

/// Records an event on each pod that waits for persistent memory that no node has. It never returns.
pub async fn run(client: Client, index: SharedIndex) {
    let pods = WaitingPods::default();
    let explainer = Explainer::new(client.clone(), index.clone());
    let config = Config::default().fields(PODS_WITHOUT_NODE).page_size(PAGE);
    let watch = watch::run(Api::<Pod>::all(client), config, pods.clone());
    tokio::join!(watch, explain_for_ever(&pods, &explainer, &index));
}

async fn explain_for_ever(pods: &WaitingPods, explainer: &Explainer, index: &SharedIndex) {
    index.wait_for(|index| Index::synced(index).then_some(())).await;
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => pods.make_due(),
            () = pods.changed() => {}
        }
        explainer.explain_due(pods).await;
    }
}
