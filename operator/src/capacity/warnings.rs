//! Tells the owner of a StorageClass that cannot be understood: a Warning event on it, once for each mistake.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use tracing::warn;

use crate::chain::chain;
use crate::index::{Index, SharedIndex};

/// A StorageClass that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Its name.
    pub class: String,
    /// Its uid.
    pub uid: String,
    /// What is wrong, with the parameter's name and the allowed values.
    pub message: String,
}

/// Publishes an event for each new mistake, for ever.
pub async fn run(recorder: Recorder, index: SharedIndex) {
    let mut told = BTreeSet::new();
    loop {
        let now = index
            .wait_for(|index| Some(mistakes(index)).filter(|now| *now != told))
            .await;
        for mistake in now.difference(&told) {
            tell(&recorder, mistake).await;
        }
        told = now;
    }
}

/// The mistakes that there are.
#[must_use]
pub fn mistakes(index: &Index) -> BTreeSet<Mistake> {
    let mistake = |(class, uid, error): (&str, &str, &crate::index::ClassError)| Mistake {
        class: class.into(),
        uid: uid.into(),
        message: error.to_string(),
    };
    index.invalid_classes().map(mistake).collect()
}

async fn tell(recorder: &Recorder, mistake: &Mistake) {
    warn!(class = mistake.class, "{}", mistake.message);
    let event = Event {
        type_: EventType::Warning,
        reason: "InvalidParameter".into(),
        note: Some(format!("{}; no capacity is published for this class", mistake.message)),
        action: "PublishCapacity".into(),
        secondary: None,
    };
    let class = ObjectReference {
        api_version: Some(StorageClass::api_version(&()).into()),
        kind: Some(StorageClass::kind(&()).into()),
        name: Some(mistake.class.clone()),
        uid: Some(mistake.uid.clone()),
        ..ObjectReference::default()
    };
    if let Err(error) = recorder.publish(&event, &class).await {
        warn!(error = chain(&error), "event not published");
    }
}
