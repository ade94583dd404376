//! Models of the parts of a cluster that are not ours, as small as can be.
//!
//! - [`available`]: which volumes that exist kube-scheduler binds claims to.
//! - [`claims`]: binds claims and volumes, and protects them.
//! - [`provisioner`]: external-provisioner, with its rules for repeating calls.
//! - [`scheduler`]: kube-scheduler, with its calls of the extender.
//! - [`kubelet`]: stages, publishes, and runs what is in pods.
//! - [`garbage`]: deletes what belongs to objects that are gone.

pub mod available;
pub mod claims;
pub mod garbage;
pub mod kubelet;
pub mod provisioner;
pub mod scheduler;

use std::time::Duration;

use serde_json::Value;

use crate::api_server::ApiServer;
use crate::dice::Dice;

/// How long a controller takes at most to notice a change.
const NOTICED_WITHIN: Duration = Duration::from_millis(50);

/// Calls `look` now and a little after each change, for ever.
async fn after_each_change(api: &ApiServer, dice: &Dice, mut look: impl FnMut()) {
    let mut revisions = api.revisions();
    loop {
        revisions.mark_unchanged();
        look();
        if revisions.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(dice.up_to(NOTICED_WITHIN)).await;
    }
}

/// A text in an object, empty if there is none.
#[must_use]
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The node that a PersistentVolume can be reached from.
#[must_use]
pub fn node_of(volume: &Value) -> &str {
    text(
        volume,
        "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0",
    )
}

/// Whether somebody deleted the object already.
#[must_use]
pub fn is_deleted(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// The names of the claims of a pod. That of an ephemeral volume follows from both names.
pub fn claims_of(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.map(|volume| {
        if volume["ephemeral"].is_object() {
            format!("{}-{}", text(pod, "/metadata/name"), text(volume, "/name"))
        } else {
            text(volume, "/persistentVolumeClaim/claimName").to_owned()
        }
    })
}

/// Takes a finalizer away.
fn remove_finalizer(object: &mut Value, finalizer: &str) {
    if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|held| held != finalizer);
    }
}
