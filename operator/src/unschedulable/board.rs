//! The pods that wait, and what was said of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::WaitingPod;
use super::tell::Told;

/// The pods that wait, by uid, and what was said of each; forgotten with the pod. It is locked for computations only,
/// never across an await.
#[derive(Clone, Default)]
pub struct Board {
    entries: Arc<Mutex<BTreeMap<String, Entry>>>,
    changed: Arc<Notify>,
}

#[derive(Clone)]
struct Entry {
    pod: WaitingPod,
    told: Option<Told>,
    /// To be looked at now.
    due: bool,
    /// To be looked at from time to time: it waits for memory of ours, or that could not be found out.
    ours: bool,
}

impl Board {
    /// Takes in a pod that waits: it is due if it has changed.
    pub fn put(&self, pod: WaitingPod) {
        let mut entries = self.lock();
        let known = entries.remove(pod.uid());
        let entry = match known {
            Some(known) if known.pod == pod => known,
            known => Entry {
                told: known.and_then(|known| known.told),
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

    /// Exactly these wait.
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

    /// All pods that wait for memory of ours are due.
    pub fn look_again(&self) {
        for entry in self.lock().values_mut().filter(|entry| entry.ours) {
            entry.due = true;
        }
    }

    /// A pod that is due, and what was last said of it; it is not due after that.
    pub(super) fn take_due(&self) -> Option<(WaitingPod, Option<Told>)> {
        let mut entries = self.lock();
        let entry = entries.values_mut().find(|entry| entry.due)?;
        entry.due = false;
        Some((entry.pod.clone(), entry.told.clone()))
    }

    /// What was now said of `pod`, and whether it waits for memory of ours.
    pub(super) fn looked_at(&self, pod: &WaitingPod, told: Option<Told>, ours: bool) {
        if let Some(entry) = self.lock().get_mut(pod.uid()) {
            entry.told = told;
            // One that changed in the meantime is due, whatever it was before.
            entry.ours = ours || entry.due;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
