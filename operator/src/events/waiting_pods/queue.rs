//! The pods that wait, and the last event on each.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster::ObjectKey;
use cluster::watch::{Indexes, SharedIndex};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

use super::event::RecordedEvent;
use super::pod::WaitingPod;

/// The pods that wait, and the last event on each; dropped with the pod. Clones share them. They are locked for
/// computations only, never across an await.
#[derive(Clone, Default)]
pub struct WaitingPods {
    entries: Arc<Mutex<Entries>>,
    changed: Arc<Notify>,
}

/// The pods that wait, by namespace and name.
#[derive(Default)]
pub struct Entries(BTreeMap<ObjectKey, Entry>);

struct Entry {
    pod: WaitingPod,
    event: Option<RecordedEvent>,
    /// It has to be explained now.
    due: bool,
    /// It has to be explained again from time to time: it waits for memory of ours, or that could not be found out.
    ours: bool,
}

impl Indexes<Pod> for Entries {
    /// A pod that waits is due if it has changed.
    fn apply(&mut self, pod: &Pod) {
        let key = ObjectKey::of(pod);
        let Some(pod) = WaitingPod::of(pod) else {
            self.0.remove(&key);
            return;
        };
        let entry = match self.0.remove(&key) {
            Some(same) if same.pod == pod => same,
            other => Entry {
                event: other
                    .filter(|other| other.pod.pod.uid == pod.pod.uid)
                    .and_then(|other| other.event),
                due: true,
                ours: true,
                pod,
            },
        };
        self.0.insert(key, entry);
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.0.remove(key);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.0.retain(|key, _| listed.contains(key));
    }
}

impl SharedIndex for WaitingPods {
    type Index = Entries;

    fn update(&self, change: impl FnOnce(&mut Entries)) {
        change(&mut self.lock());
        self.changed.notify_one();
    }
}

impl WaitingPods {
    /// Waits until a pod may be due.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Makes all pods due that wait for memory of ours.
    pub fn make_due(&self) {
        for entry in self.lock().0.values_mut().filter(|entry| entry.ours) {
            entry.due = true;
        }
    }

    /// A pod that is due and the last event on it. The pod is not due afterwards.
    pub(super) fn take_due(&self) -> Option<(WaitingPod, Option<RecordedEvent>)> {
        let mut entries = self.lock();
        let entry = entries.0.values_mut().find(|entry| entry.due)?;
        entry.due = false;
        Some((entry.pod.clone(), entry.event.clone()))
    }

    /// Takes in the last event on `pod`, and whether it waits for memory of ours.
    pub(super) fn explained(&self, pod: &WaitingPod, event: Option<RecordedEvent>, ours: bool) {
        let mut entries = self.lock();
        let entry = entries.0.get_mut(&pod.pod.key());
        if let Some(entry) = entry.filter(|entry| entry.pod.pod.uid == pod.pod.uid) {
            entry.event = event;
            // One that changed in the meantime is due, whatever it was before.
            entry.ours = ours || entry.due;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
