use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::Error;
use serde_json::json;

use super::*;

/// Config maps by key, and how often the index changed.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Maps>>);

#[derive(Default)]
struct Maps {
    objects: BTreeMap<ObjectKey, ConfigMap>,
    changes: usize,
}

impl Indexes<ConfigMap> for Maps {
    fn apply(&mut self, object: &ConfigMap) {
        self.objects.insert(ObjectKey::of(object), object.clone());
    }

    fn delete(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
    }

    fn reset(&mut self, listed: &HashSet<ObjectKey>) {
        self.objects.retain(|key, _| listed.contains(key));
    }
}

impl SharedIndex for Shared {
    type Index = Maps;

    fn update(&self, change: impl FnOnce(&mut Maps)) {
        let mut maps = self.0.lock().unwrap();
        change(&mut maps);
        maps.changes += 1;
    }
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": { "namespace": "ns", "name": name, "managedFields": [{ "manager": "m" }] },
    }))
    .unwrap()
}

async fn names_after(events: Vec<watcher::Result<Event<ConfigMap>>>) -> (Vec<String>, usize) {
    let shared = Shared::default();
    feed(stream::iter(events), &shared).await;
    let maps = shared.0.lock().unwrap();
    assert!(
        maps.objects
            .values()
            .all(|map| map.metadata.managed_fields.iter().flatten().count() == 0)
    );
    (
        maps.objects.keys().map(|key| key.name.to_string()).collect(),
        maps.changes,
    )
}

#[tokio::test]
async fn carries_every_event() {
    let events = vec![
        Ok(Event::Init),
        Ok(Event::InitApply(map("a"))),
        Ok(Event::InitApply(map("b"))),
        Ok(Event::InitDone),
        Ok(Event::Apply(map("c"))),
        Ok(Event::Delete(map("a"))),
    ];
    assert_eq!(names_after(events).await, (vec!["b".into(), "c".into()], 6));
}

#[tokio::test]
async fn only_a_complete_list_takes_something_away() {
    let broken_off = || {
        vec![
            Ok(Event::Init),
            Ok(Event::InitApply(map("a"))),
            Ok(Event::InitDone),
            Ok(Event::Init),
            Ok(Event::InitApply(map("b"))),
            Err(Error::NoResourceVersion),
        ]
    };
    assert_eq!(names_after(broken_off()).await.0, ["a", "b"]);
    let mut then_complete = broken_off();
    then_complete.extend([Ok(Event::Init), Ok(Event::InitApply(map("c"))), Ok(Event::InitDone)]);
    assert_eq!(names_after(then_complete).await.0, ["c"]);
}
