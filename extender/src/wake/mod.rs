//! Wakes pods that wait, once there is room for one of them.

mod cluster;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ::cluster::Pod;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use cluster::{WAKE_OBJECT, WAKES, Waker};

use crate::decide::{Room, room_for_waiting};
use crate::state::SharedState;

/// How often nodes that have gained room are looked at. It is the longest that a pod is woken late by.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Pause after each write: all pods that wait are tried again each time.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause after something that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Wakes pods that wait, until `stop`.
pub async fn run(state: SharedState, waker: Waker, stop: CancellationToken) {
    stop.run_until_cancelled(wake_for_ever(&state, &waker)).await;
}

async fn wake_for_ever(state: &SharedState, waker: &Waker) {
    take_in(state).await;
    loop {
        sleep(LOOK_EVERY).await;
        // A change at any moment from here on counts for the next time.
        let gained = state.write().take_gained();
        if gained.is_empty() {
            continue;
        }
        match wake(state, waker, &gained).await {
            Ok(Some(_)) => sleep(PAUSE).await,
            Ok(None) => {}
            Err(error) => {
                warn!(error = program::chain(&error), "pods that wait not woken, trying again");
                state.write().gained(&gained);
                sleep(RETRY).await;
            }
        }
    }
}

/// Who waits since before this start: nobody asks for these pods until they are woken.
async fn take_in(state: &SharedState) {
    while !state.read().is_synced() {
        sleep(LOOK_EVERY).await;
    }
    state.write().take_in_waiting(Instant::now().into_std());
}

/// Wakes the pods that wait if one of the nodes in `gained` has room for one of them, and returns that one.
async fn wake(state: &SharedState, waker: &Waker, gained: &BTreeSet<Arc<str>>) -> kube::Result<Option<Arc<Pod>>> {
    let mut after: Option<Box<str>> = None;
    loop {
        let room = room_for_waiting(&state.read(), after.as_deref(), gained);
        match room {
            Room::ForNobody => return Ok(None),
            Room::NotUpTo(uid) => after = Some(uid),
            Room::For(pod, _) if !waker.still_waits(&pod).await? => state.write().does_not_wait(&pod.uid),
            Room::For(pod, node) => {
                waker.wake(&pod, &node).await?;
                state.write().woken_for(&pod.uid);
                log(state, &pod, &node);
                return Ok(Some(pod));
            }
        }
    }
}

fn log(state: &SharedState, pod: &Pod, node: &str) {
    let state = state.read();
    let (waiting, tries) = (state.waiting().len(), state.waiting().tries());
    info!(
        pod = %pod.key(), node, waiting, placed = tries.placed, in_vain = tries.in_vain,
        "there is room for a pod that waits: all that wait are tried again"
    );
}
