//! What the API server itself checks of our kinds: their schema with its rules, and the admission policy.

use crds::{PmemNode, PmemVolume};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kind::{Key, Kind};
use super::refusal::Refusal;

/// Checks an object against the schema of its kind and what the policy asks of everybody, and fills in defaults.
pub(super) fn validate(kind: Kind, old: Option<&Value>, new: &mut Value) -> Result<(), Refusal> {
    match kind {
        Kind::PmemVolume => {
            if old.is_some_and(|old| old["spec"] != new["spec"]) {
                return Err(Refusal::invalid(
                    "a volume is what it was made as: its spec cannot change",
                ));
            }
            if let Some(old) = old {
                keeps_what_was_kept(old, new)?;
            }
            fill_in::<PmemVolume>(new)
        }
        Kind::PmemNode => fill_in::<PmemNode>(new),
        _ => Ok(()),
    }
}

fn fill_in<K: DeserializeOwned + Serialize>(object: &mut Value) -> Result<(), Refusal> {
    let invalid = |error: serde_json::Error| Refusal::invalid(error.to_string());
    let typed: K = serde_json::from_value(object.clone()).map_err(invalid)?;
    *object = serde_json::to_value(typed).map_err(invalid)?;
    Ok(())
}

/// The policies in manifests/base/node-driver-policy.yaml: a driver writes what belongs to its own node only. `writer` is that
/// node; none for who may write for any.
pub(super) fn policy(key: &Key, object: &Value, writer: Option<&str>) -> Result<(), Refusal> {
    let node = match key.kind {
        Kind::PmemNode => Some(key.name.as_str()),
        Kind::PmemVolume => object["spec"]["node"].as_str(),
        Kind::Lease => crds::node_of_lease(&key.name),
        _ => None,
    };
    match (writer, node) {
        (Some(writer), Some(node)) if writer != node => Err(Refusal::forbidden(format!(
            "{writer} may not write what belongs to node {node}"
        ))),
        _ => Ok(()),
    }
}

fn keeps_what_was_kept(old: &Value, object: &Value) -> Result<(), Refusal> {
    let of = |object: &Value, key| object["metadata"]["annotations"].get(key).cloned();
    let is_kept = |key| of(old, key).is_none_or(|before| of(object, key) == Some(before));
    let all_are = [crds::KEPT, crds::KEPT_IN].into_iter().all(is_kept);
    all_are
        .then_some(())
        .ok_or_else(|| Refusal::forbidden(format!("{} stays", crds::KEPT)))
}
