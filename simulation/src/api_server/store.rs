//! What etcd holds, and the rules by which it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::admission;
use super::kind::{Key, Kind};
use super::refusal::Refusal;

/// One change, for the watches.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Arc<Value>,
    pub(super) is_deleted: bool,
    pub(super) at: Instant,
}

/// What a snapshot of etcd keeps.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    objects: BTreeMap<Key, Arc<Value>>,
    applied: BTreeMap<(Key, String), Value>,
}

/// What etcd holds.
#[derive(Debug, Default)]
pub(super) struct Store {
    held: Snapshot,
    /// The version of the last change.
    pub(super) revision: u64,
    /// Changes up to this version are not kept any more.
    pub(super) compacted: u64,
    /// The changes after that, one for each version.
    log: Vec<Change>,
    /// Never goes back, whatever is restored.
    uids: u64,
}

/// The part of an object that a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All but the status, if that has a path of its own.
    Main,
    Status,
}

impl Store {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.held.objects.get(key).cloned()
    }

    /// All objects of a kind, in one namespace if that is not empty.
    pub(super) fn list<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let first = Key::in_namespace(kind, namespace, "");
        let from_here = self.held.objects.range(first..);
        from_here.take_while(move |(key, _)| key.kind == kind && (namespace.is_empty() || key.namespace == namespace))
    }

    /// The changes after a version, each with its version.
    ///
    /// # Errors
    /// They are not kept any more.
    pub(super) fn changes_after(&self, revision: u64) -> Result<&[Change], Refusal> {
        let skip = revision.checked_sub(self.compacted).ok_or_else(Refusal::expired)?;
        let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(self.log.len());
        Ok(&self.log[skip..])
    }

    /// Forgets the changes up to now: whoever is behind has to list again.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.log.clear();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.held.clone()
    }

    /// As `etcdutl snapshot restore --bump-revision --mark-compacted` does.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        self.held = snapshot;
        self.revision += 1_000_000;
        self.compact();
    }

    pub(super) fn create(&mut self, key: Key, mut object: Value) -> Result<Arc<Value>, Refusal> {
        if self.held.objects.contains_key(&key) {
            return Err(Refusal::already_exists(format!("{} exists", key.name)));
        }
        self.uids += 1;
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(key.name);
        if !key.namespace.is_empty() {
            metadata["namespace"] = json!(key.namespace);
        }
        metadata["uid"] = json!(format!("{:08x}-5eed-4a11-8a11-000000000000", self.uids));
        metadata["creationTimestamp"] = json!(now());
        object["kind"] = json!(key.kind.name());
        object["apiVersion"] = json!(key.kind.api_version());
        if key.kind.has_status()
            && matches!(key.kind, Kind::PmemNode | Kind::PmemVolume)
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
        admission::validate(key.kind, None, &mut object)?;
        Ok(self.put(key, None, object))
    }

    /// Lets `change` change an object.
    pub(super) fn update(
        &mut self,
        key: &Key,
        part: Part,
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<Arc<Value>, Refusal> {
        let old = self
            .get(key)
            .ok_or_else(|| Refusal::not_found(format!("{} {} not found", key.kind.plural(), key.name)))?;
        let mut new = (*old).clone();
        change(&mut new)?;
        check_preconditions(&new["metadata"], &old)?;
        keep(&mut new, &old, key.kind, part);
        admission::validate(key.kind, Some(&old), &mut new)?;
        if new == *old {
            return Ok(old);
        }
        let is_released = is_deleted(&new) && has_no_finalizers(&new);
        if is_released {
            return Ok(self.take_away(key, &old, new));
        }
        Ok(self.put(key.clone(), Some(old), new))
    }

    /// Marks it as deleted, or takes it away if nobody holds it.
    pub(super) fn delete(&mut self, key: &Key, preconditions: &Value) -> Result<Arc<Value>, Refusal> {
        let old = self
            .get(key)
            .ok_or_else(|| Refusal::not_found(format!("{} {} not found", key.kind.plural(), key.name)))?;
        check_preconditions(preconditions, &old)?;
        if has_no_finalizers(&old) {
            return Ok(self.take_away(key, &old, (*old).clone()));
        }
        if is_deleted(&old) {
            return Ok(old);
        }
        let mut new = (*old).clone();
        new["metadata"]["deletionTimestamp"] = json!(now());
        Ok(self.put(key.clone(), Some(old), new))
    }

    /// What a manager applied last to a part of an object.
    pub(super) fn applied(&self, key: &Key, manager: &str) -> Option<&Value> {
        self.held.applied.get(&(key.clone(), manager.to_owned()))
    }

    pub(super) fn note_applied(&mut self, key: Key, manager: String, value: Value) {
        self.held.applied.insert((key, manager), value);
    }

    fn put(&mut self, key: Key, before: Option<Arc<Value>>, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        tracing::debug!(kind = key.kind.name(), name = key.name, revision = self.revision, %object, "written");
        self.log.push(Change {
            kind: key.kind,
            before,
            after: Arc::clone(&object),
            is_deleted: false,
            at: Instant::now(),
        });
        self.held.objects.insert(key, Arc::clone(&object));
        object
    }

    fn take_away(&mut self, key: &Key, before: &Arc<Value>, mut last: Value) -> Arc<Value> {
        self.held.objects.remove(key);
        self.held.applied.retain(|(of, _), _| of != key);
        self.revision += 1;
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let last = Arc::new(last);
        tracing::debug!(
            kind = key.kind.name(),
            name = key.name,
            revision = self.revision,
            "gone"
        );
        self.log.push(Change {
            kind: key.kind,
            before: Some(Arc::clone(before)),
            after: Arc::clone(&last),
            is_deleted: true,
            at: Instant::now(),
        });
        last
    }
}

/// What a write cannot change stays as it was.
fn keep(new: &mut Value, old: &Value, kind: Kind, part: Part) {
    if part == Part::Status {
        let status = new["status"].take();
        *new = old.clone();
        new["status"] = status;
        return;
    }
    if kind.has_status() {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => _ = new.as_object_mut().map(|map| map.remove("status")),
        }
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "name",
        "namespace",
        "resourceVersion",
    ] {
        match old["metadata"].get(field) {
            Some(value) => new["metadata"][field] = value.clone(),
            None => _ = new["metadata"].as_object_mut().map(|map| map.remove(field)),
        }
    }
    new["kind"] = old["kind"].clone();
    new["apiVersion"] = old["apiVersion"].clone();
}

fn check_preconditions(wanted: &Value, old: &Value) -> Result<(), Refusal> {
    for field in ["uid", "resourceVersion"] {
        let wanted = &wanted[field];
        if !wanted.is_null() && *wanted != old["metadata"][field] {
            return Err(Refusal::conflict(format!("{field} is not {wanted}")));
        }
    }
    Ok(())
}

pub(super) fn is_deleted(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn has_no_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
}

fn now() -> String {
    let seconds = program::now().as_second();
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
