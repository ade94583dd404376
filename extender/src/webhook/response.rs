//! What kube-scheduler expects, as JSON. Keys are written as in Go: its types have no JSON tags.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::WebhookError;
use crate::decide::{Filtered, NodeRefusal};

/// `ExtenderFilterResult`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FilterResult<'a, N> {
    /// Null: only names are exchanged (`nodeCacheCapable: true`).
    nodes: Option<()>,
    node_names: N,
    failed_nodes: Refusals<'a>,
    failed_and_unresolvable_nodes: Refusals<'a>,
    error: &'static str,
}

/// `HostPriority`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostPriority<'a> {
    host: &'a str,
    score: u8,
}

/// A map from the names of nodes to the texts of their refusals.
struct Refusals<'a>(&'a [(&'a str, NodeRefusal)]);

impl Serialize for Refusals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, refusal)| (name, refusal)))
    }
}

/// For a pod without claims of ours: all candidates pass as they came.
pub(super) fn all_passed(node_names: Option<&RawValue>) -> Result<String, WebhookError> {
    match node_names {
        Some(names) => filter_result(names, &[], &[]),
        None => filter_result([(); 0], &[], &[]),
    }
}

/// For a pod with claims of ours.
pub(super) fn filtered(filtered: &Filtered) -> Result<String, WebhookError> {
    filter_result(&filtered.passed, &filtered.failed, &filtered.unresolvable)
}

/// 10 is best.
pub(super) fn scores(scores: &[(&str, u8)]) -> Result<String, WebhookError> {
    let priorities: Vec<HostPriority> = scores
        .iter()
        .map(|&(host, score)| HostPriority { host, score })
        .collect();
    serde_json::to_string(&priorities).map_err(WebhookError::Encode)
}

fn filter_result(
    node_names: impl Serialize,
    failed: &[(&str, NodeRefusal)],
    unresolvable: &[(&str, NodeRefusal)],
) -> Result<String, WebhookError> {
    let result = FilterResult {
        nodes: None,
        node_names,
        failed_nodes: Refusals(failed),
        failed_and_unresolvable_nodes: Refusals(unresolvable),
        error: "",
    };
    serde_json::to_string(&result).map_err(WebhookError::Encode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_go_reads() {
        let names: Box<RawValue> = serde_json::from_str(r#"["a"]"#).unwrap();
        assert_eq!(
            all_passed(Some(&names)).unwrap(),
            r#"{"Nodes":null,"NodeNames":["a"],"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""}"#
        );
        assert!(all_passed(None).unwrap().contains(r#""NodeNames":[],"#));
        let two = Filtered {
            passed: vec!["a"],
            failed: vec![("b", NodeRefusal::Other("no \"space\"".into()))],
            unresolvable: vec![("c", NodeRefusal::Other("never".into()))],
        };
        assert_eq!(
            filtered(&two).unwrap(),
            r#"{"Nodes":null,"NodeNames":["a"],"FailedNodes":{"b":"no \"space\""},"FailedAndUnresolvableNodes":{"c":"never"},"Error":""}"#
        );
        assert_eq!(
            scores(&[("a", 10), ("b", 0)]).unwrap(),
            r#"[{"Host":"a","Score":10},{"Host":"b","Score":0}]"#
        );
        assert_eq!(scores(&[]).unwrap(), "[]");
    }
}
