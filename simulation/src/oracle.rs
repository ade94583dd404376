//! What pods wrote, and so what has to be there: the judge of data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster::names::VOLUME_PREFIX;
use serde_json::Value;

use crate::api_server::{ApiServer, Key, Kind};
use crate::surroundings::text;

/// What pods wrote, by the handle of the volume. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Oracle(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What may be on a volume: one token, or two while a write is not known to have succeeded.
    written: BTreeMap<String, BTreeSet<u64>>,
    /// Volumes whose users gave them up.
    given_up: BTreeSet<String>,
    /// Volumes that were retained, and whose PersistentVolume somebody deleted before anybody wrote to them.
    unused: BTreeSet<String>,
    /// Volumes for which DeleteVolume succeeded, and that no restored cluster knows again.
    deleted: BTreeSet<String>,
    /// How often etcd was restored.
    restored: u64,
    /// Volumes that somebody kept by hand.
    kept: BTreeSet<String>,
    violations: Vec<String>,
    tokens: u64,
    reads: u64,
}

impl Oracle {
    /// Something that nobody wrote before.
    #[must_use]
    pub fn next_token(&self) -> u64 {
        let mut state = self.lock();
        state.tokens += 1;
        state.tokens
    }

    /// A pod begins to write.
    pub fn writes(&self, handle: &str, token: u64) {
        self.lock().written.entry(handle.into()).or_default().insert(token);
    }

    /// A pod's write survives from now on.
    pub fn wrote(&self, handle: &str, token: u64) {
        self.lock().written.insert(handle.into(), BTreeSet::from([token]));
    }

    /// A pod found this.
    pub fn read(&self, handle: &str, found: Option<u64>) {
        let mut state = self.lock();
        state.reads += 1;
        let expected = state.written.get(handle).cloned().unwrap_or_default();
        let is_fine = match found {
            Some(token) => expected.contains(&token),
            // The first write may not have come far.
            None => expected.len() != 1 || state.given_up.contains(handle),
        };
        if !is_fine {
            state.violations.push(format!(
                "a pod found {found:?} on {handle}, where {expected:?} was written"
            ));
        }
    }

    /// The users of a volume gave it up: it may be erased.
    pub fn give_up(&self, handle: &str) {
        self.lock().given_up.insert(handle.into());
    }

    /// The users of a claim gave it up: its volume may be erased, unless its class says that it is retained.
    pub fn give_up_claim(&self, api: &ApiServer, claim: &Value) {
        let volume = api.get(&Key::of(Kind::PersistentVolume, text(claim, "/spec/volumeName")));
        let class = api.get(&Key::of(Kind::StorageClass, text(claim, "/spec/storageClassName")));
        let policy = match (&volume, &class) {
            (Some(volume), _) => text(volume, "/spec/persistentVolumeReclaimPolicy"),
            (None, Some(class)) => text(class, "/reclaimPolicy"),
            (None, None) => "",
        };
        if policy == "Retain" {
            return;
        }
        if let Some(volume) = &volume {
            self.give_up(text(volume, "/spec/csi/volumeHandle"));
        }
        self.give_up(&format!("{VOLUME_PREFIX}{}", text(claim, "/metadata/uid")));
    }

    /// Somebody deleted the PersistentVolume of a volume that was retained: what nobody wrote to goes as unused.
    pub fn deletes_retained(&self, handle: &str) {
        let mut state = self.lock();
        if !state.written.contains_key(handle) {
            state.unused.insert(handle.into());
        }
    }

    /// Whether a volume may be gone that a restored cluster knows again: nobody had anything on it.
    #[must_use]
    pub fn may_be_gone(&self, handle: &str) -> bool {
        let state = self.lock();
        state.given_up.contains(handle) || state.unused.contains(handle)
    }

    /// Whether the users of a volume gave it up.
    #[must_use]
    pub fn is_given_up(&self, handle: &str) -> bool {
        self.lock().given_up.contains(handle)
    }

    /// How often etcd was restored.
    #[must_use]
    pub fn restored(&self) -> u64 {
        self.lock().restored
    }

    /// etcd is restored: what was deleted since may be wanted again.
    pub fn restores(&self) {
        let mut state = self.lock();
        state.restored += 1;
        state.deleted.clear();
    }

    /// DeleteVolume succeeded: nobody names the volume any more.
    pub fn deleted(&self, handle: &str) {
        self.lock().deleted.insert(handle.into());
    }

    /// Somebody took back by hand what DeleteVolume did, or may still do.
    pub fn is_kept_by_hand(&self, handle: &str) {
        self.lock().kept.insert(handle.into());
    }

    /// Whether DeleteVolume succeeded for it.
    #[must_use]
    pub fn is_deleted(&self, handle: &str) -> bool {
        let state = self.lock();
        state.deleted.contains(handle) && !state.kept.contains(handle)
    }

    /// What has to be on volumes: the tokens of each, one of which it has.
    #[must_use]
    pub fn owed(&self) -> BTreeMap<String, BTreeSet<u64>> {
        let state = self.lock();
        let owed = state
            .written
            .iter()
            .filter(|(handle, _)| !state.given_up.contains(*handle));
        owed.map(|(handle, tokens)| (handle.clone(), tokens.clone())).collect()
    }

    /// What pods should not have found.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// How often pods read.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.lock().reads
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
