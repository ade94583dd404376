//! A model of the API server with etcd behind it: resource versions, conflicts, finalizers, merge patches, server-side apply,
//! selectors, watches that lag and break, our schema and admission policy.
//!
//! Programs reach it through a [`Link`], as a service under their kube client. The models of the other parts of a cluster use
//! [`ApiServer`] itself.

mod admission;
mod change;
mod kind;
mod link;
mod network;
mod path;
mod refusal;
mod request;
mod selector;
mod store;
mod watching;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

pub use kind::{Key, Kind};
pub use link::Link;
pub use network::{Network, NetworkState};
pub use refusal::Refusal;
pub use store::Snapshot;

use store::{Part, Store};

/// The API server. Clones are the same one.
#[derive(Clone, Debug)]
pub struct ApiServer {
    store: Arc<Mutex<Store>>,
    revision: watch::Sender<u64>,
    /// Grows whenever all watches end.
    epoch: watch::Sender<u64>,
    /// Grows whenever it starts anew: connections do not outlive that.
    starts: watch::Sender<u64>,
}

impl Default for ApiServer {
    fn default() -> Self {
        Self {
            store: Arc::default(),
            revision: watch::Sender::new(0),
            epoch: watch::Sender::new(0),
            starts: watch::Sender::new(0),
        }
    }
}

impl ApiServer {
    /// The object, if it is there.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.lock().get(key)
    }

    /// All objects of a kind.
    #[must_use]
    pub fn list(&self, kind: Kind) -> Vec<Arc<Value>> {
        self.lock()
            .list(kind, "")
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Makes an object.
    ///
    /// # Errors
    /// It exists, or is not valid.
    pub fn create(&self, key: Key, object: Value) -> Result<Arc<Value>, Refusal> {
        self.change(|store| store.create(key, object))
    }

    /// Changes an object, but for its status.
    ///
    /// # Errors
    /// It does not exist, or would not be valid.
    pub fn update(&self, key: &Key, change: impl FnOnce(&mut Value)) -> Result<Arc<Value>, Refusal> {
        self.change(|store| {
            store.update(key, Part::Main, |object| {
                change(object);
                Ok(())
            })
        })
    }

    /// Changes the status of an object.
    ///
    /// # Errors
    /// It does not exist, or would not be valid.
    pub fn update_status(&self, key: &Key, change: impl FnOnce(&mut Value)) -> Result<Arc<Value>, Refusal> {
        self.change(|store| {
            store.update(key, Part::Status, |object| {
                change(&mut object["status"]);
                Ok(())
            })
        })
    }

    /// Deletes an object, or marks it as deleted while somebody holds it.
    ///
    /// # Errors
    /// It does not exist.
    pub fn delete(&self, key: &Key) -> Result<Arc<Value>, Refusal> {
        self.change(|store| store.delete(key, &Value::Null))
    }

    /// The version of the last change, with a signal whenever there is a new one.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// Whether an object changed after that version, as far as is still known, of which `matters` says yes: its kind, and how it
    /// is afterwards.
    #[must_use]
    pub fn has_changed_since(&self, revision: u64, matters: impl Fn(Kind, &Value) -> bool) -> bool {
        match self.lock().changes_after(revision) {
            Ok(changes) => changes.iter().any(|change| matters(change.kind, &change.after)),
            Err(_) => true,
        }
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().revision
    }

    /// What was written after that version, but for Leases, which are renewed as long as there is somebody.
    #[must_use]
    pub fn written_since(&self, version: u64) -> Vec<String> {
        let store = self.lock();
        let changes = store.changes_after(version).unwrap_or_default();
        changes
            .iter()
            .filter(|change| change.kind != Kind::Lease)
            .map(|change| format!("{} {}", change.kind.name(), change.after))
            .collect()
    }

    /// A number that differs if anything else is held, or was written in another order.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let store = self.lock();
        let held = Kind::ALL.into_iter().flat_map(|kind| store.list(kind, ""));
        let bytes = held.flat_map(|(_, object)| object.to_string().into_bytes());
        bytes.fold(store.revision, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(5)
        })
    }

    /// Wakes all who look after each change, though nothing changed.
    pub fn touch(&self) {
        self.revision.send_modify(|_| {});
    }

    /// Everything that etcd holds.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// Restores etcd from a snapshot, which starts the API server anew.
    pub fn restore(&self, snapshot: Snapshot) {
        self.starts.send_modify(|starts| *starts += 1);
        self.change(|store| store.restore(snapshot));
        self.break_watches();
    }

    /// Ends all watches, and forgets what happened before: what came and went is never seen by who was behind.
    pub fn compact(&self) {
        self.lock().compact();
        self.break_watches();
    }

    /// Ends all watches; each can go on where it was.
    pub fn break_watches(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.lock();
        let result = change(&mut store);
        let revision = store.revision;
        drop(store);
        self.revision
            .send_if_modified(|last| std::mem::replace(last, revision) != revision);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
