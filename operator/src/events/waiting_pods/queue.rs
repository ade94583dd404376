//! The pods that wait, and the last event on each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::event::RecordedEvent;
use super::pod::WaitingPod;

/// The pods that wait, by uid, and the last event on each; dropped with the pod. It is locked for computations only,
/// never across an await.
#[derive(Clone, Default)]
pub struct WaitingPods {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    changed: Arc<Notify>,
}

#[derive(Clone)]
struct Entry {
    pod: WaitingPod,
    event: Option<RecordedEvent>,
    /// It has to be explained now.
    due: bool,
    /// It has to be explained again from time to time: it waits for memory of ours, or that could not be found out.
    ours: bool,
}

impl WaitingPods {
    /// Takes in a pod that waits: it is due if it has changed.
    pub fn put(&self, pod: WaitingPod) {
        let mut entries = self.lock();
        let entry = match entries.remove(pod.uid()) {
            Some(same) if same.pod == pod => same,
            other => Entry {
                event: other.and_then(|other| other.event),
                due: true,
                ours: true,
                pod,
            },
        };
        let due = entry.due;
        entries.insert(entry.pod.uid().to_owned(), entry);
        drop(entries);
        if due {
            self.changed.notify_one();
        }
    }

    /// Takes in that a pod does not wait any more.
    pub fn remove(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Takes in a complete list: a pod that is not in it does not wait any more.
    pub fn reset(&self, pods: Vec<WaitingPod>) {
        let uids: BTreeSet<&str> = pods.iter().map(WaitingPod::uid).collect();
        self.lock().retain(|uid, _| uids.contains(uid.as_str()));
        for pod in pods {
            self.put(pod);
        }
    }

    /// Waits until a pod may be due.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Makes all pods due that wait for memory of ours.
    pub fn make_due(&self) {
        for entry in self.lock().values_mut().filter(|entry| entry.ours) {
            entry.due = true;
        }
    }

    /// A pod that is due and the last event on it. The pod is not due afterwards.
    pub(super) fn take_due(&self) -> Option<(WaitingPod, Option<RecordedEvent>)> {
        let mut entries = self.lock();
        let entry = entries.values_mut().find(|entry| entry.due)?;
        entry.due = false;
        Some((entry.pod.clone(), entry.event.clone()))
    }

    /// Takes in the last event on `pod`, and whether it waits for memory of ours.
    pub(super) fn explained(&self, pod: &WaitingPod, event: Option<RecordedEvent>, ours: bool) {
        if let Some(entry) = self.lock().get_mut(pod.uid()) {
            entry.event = event;
            // One that changed in the meantime is due, whatever it was before.
            entry.ours = ours || entry.due;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
