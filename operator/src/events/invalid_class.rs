//! Events on `StorageClasses` that cannot be understood, once for each mistake.

use std::collections::BTreeSet;

use cluster::ClassError;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use tracing::warn;

use crate::index::{Index, SharedIndex};

/// A StorageClass that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvalidClass {
    /// Its name.
    pub class: String,
    /// Its uid.
    pub uid: String,
    /// What is wrong: the name of the parameter and the values that are allowed.
    pub message: String,
}

/// Records an event for each new mistake. It never returns.
pub async fn run(recorder: Recorder, index: SharedIndex) {
    let mut seen = BTreeSet::new();
    loop {
        let now = index
            .wait_for(|index| Some(invalid_classes(index)).filter(|now| *now != seen))
            .await;
        for invalid in now.difference(&seen) {
            record(&recorder, invalid).await;
        }
        seen = now;
    }
}

/// The classes of ours that cannot be understood.
#[must_use]
pub fn invalid_classes(index: &Index) -> BTreeSet<InvalidClass> {
    let invalid = |(class, uid, error): (&str, &str, &ClassError)| InvalidClass {
        class: class.into(),
        uid: uid.into(),
        message: error.to_string(),
    };
    index.invalid_classes().map(invalid).collect()
}

async fn record(recorder: &Recorder, invalid: &InvalidClass) {
    warn!(class = invalid.class, "{}", invalid.message);
    let event = Event {
        type_: EventType::Warning,
        reason: "InvalidParameter".into(),
        note: Some(format!("{}; no capacity is published for this class", invalid.message)),
        action: "PublishCapacity".into(),
        secondary: None,
    };
    let class = ObjectReference {
        api_version: Some(StorageClass::api_version(&()).into()),
        kind: Some(StorageClass::kind(&()).into()),
        name: Some(invalid.class.clone()),
        uid: Some(invalid.uid.clone()),
        ..ObjectReference::default()
    };
    if let Err(error) = recorder.publish(&event, &class).await {
        warn!(error = program::chain(&error), "event not recorded");
    }
}
