//! Events on `StorageClasses` with a mistake, once for each: whoever made one learns of it before a claim has to wait.

use std::collections::BTreeSet;

use cluster::{ClassMistake, OurClass};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use tracing::warn;

use crate::index::{Index, SharedIndex};

/// A mistake in a StorageClass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MistakenClass {
    /// The name of the class.
    pub class: String,
    /// Its uid.
    pub uid: String,
    /// One word for people who filter events.
    pub reason: &'static str,
    /// What is wrong, and what comes of it.
    pub message: String,
}

/// Records an event for each new mistake. It never returns.
pub async fn run(recorder: Recorder, index: SharedIndex) {
    let mut seen = BTreeSet::new();
    loop {
        let now = index
            .wait_for(|index| Some(class_mistakes(index)).filter(|now| *now != seen))
            .await;
        for mistaken in now.difference(&seen) {
            record(&recorder, mistaken).await;
        }
        seen = now;
    }
}

/// The mistakes in classes of ours.
#[must_use]
pub fn class_mistakes(index: &Index) -> BTreeSet<MistakenClass> {
    let of_class = |(name, class): (&str, &OurClass)| {
        let (name, uid) = (name.to_owned(), class.uid.to_string());
        class.mistakes().map(move |mistake| MistakenClass {
            class: name.clone(),
            uid: uid.clone(),
            reason: reason(&mistake),
            message: message(&mistake),
        })
    };
    index.our_classes().flat_map(of_class).collect()
}

fn reason(mistake: &ClassMistake) -> &'static str {
    match mistake {
        ClassMistake::Settings(_) => "InvalidParameter",
        ClassMistake::Topologies(_) => "ForeignTopologies",
        ClassMistake::MountOption(_) => "InvalidMountOption",
        ClassMistake::Growth(_) => "NoExpansion",
    }
}

fn message(mistake: &ClassMistake) -> String {
    match mistake {
        ClassMistake::Settings(_) => format!("{mistake}; no capacity is published for this class"),
        ClassMistake::Topologies(_) | ClassMistake::MountOption(_) => {
            format!("{mistake}; no volume is made for this class")
        }
        ClassMistake::Growth(_) => mistake.to_string(),
    }
}

async fn record(recorder: &Recorder, mistaken: &MistakenClass) {
    warn!(class = mistaken.class, "{}", mistaken.message);
    let event = Event {
        type_: EventType::Warning,
        reason: mistaken.reason.into(),
        note: Some(mistaken.message.clone()),
        action: "PublishCapacity".into(),
        secondary: None,
    };
    let class = ObjectReference {
        api_version: Some(StorageClass::api_version(&()).into()),
        kind: Some(StorageClass::kind(&()).into()),
        name: Some(mistaken.class.clone()),
        uid: Some(mistaken.uid.clone()),
        ..ObjectReference::default()
    };
    if let Err(error) = recorder.publish(&event, &class).await {
        warn!(
            error = program::chain(&error),
            "the event about a StorageClass is not recorded"
        );
    }
}
