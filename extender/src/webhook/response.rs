//! What kube-scheduler expects, as JSON. Keys are written as in Go.
//!
//! A response has thousands of names and reasons, and hardly any needs an escape. To check each as a whole is much faster
//! than byte by byte.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::decide::{Filtered, NodeRefusal};

/// Bytes of a refusal with its node, as a guess: room is made once.
const REFUSED: usize = 160;
/// Bytes of the name of a node with its score, as a guess.
const NAMED: usize = 48;

/// `ExtenderFilterResult` where all candidates pass as they came.
pub(super) fn all_passed(node_names: Option<&str>) -> String {
    filter_result(node_names.unwrap_or("[]"), &[])
}

/// `ExtenderFilterResult` of a pod with claims of ours.
pub(super) fn filtered(filtered: &Filtered) -> String {
    let mut names = String::with_capacity(NAMED * filtered.passed.len());
    list(&mut names, ['[', ']'], &filtered.passed, |json, name| {
        text(json, [*name]);
    });
    let refused: Vec<_> = filtered.failed.iter().chain(&filtered.unresolvable).collect();
    filter_result(&names, &refused)
}

/// `ExtenderPreemptionResult`, with the victims on each node as they were sent.
pub(super) fn victims<'a>(kept: impl Iterator<Item = (&'a str, &'a RawValue)>) -> String {
    let mut json = "{\"NodeNameToMetaVictims\":".to_owned();
    let kept: Vec<_> = kept.collect();
    list(&mut json, ['{', '}'], &kept, |json, (node, victims)| {
        text(json, [*node]);
        json.push(':');
        json.push_str(victims.get());
    });
    json.push('}');
    json
}

/// A list of `HostPriority`: 10 is best.
pub(super) fn scores(scores: &[(&str, u8)]) -> String {
    let mut json = String::with_capacity(NAMED * scores.len());
    list(&mut json, ['[', ']'], scores, |json, (host, score)| {
        json.push_str("{\"Host\":");
        text(json, [*host]);
        json.push_str(",\"Score\":");
        json.push_str(&score.to_string());
        json.push('}');
    });
    json
}

/// All that is refused is unresolvable: kube-scheduler would evict pods on the nodes in `FailedNodes`, and their claims keep the
/// space.
fn filter_result(names: &str, refused: &[&(&str, NodeRefusal)]) -> String {
    let mut json = String::with_capacity(names.len() + REFUSED * (1 + refused.len()));
    json.push_str("{\"Nodes\":null,\"NodeNames\":");
    json.push_str(names);
    json.push_str(",\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":");
    list(&mut json, ['{', '}'], refused, |json, refused| reason(json, refused));
    json.push_str(",\"Error\":\"\"}");
    json
}

fn reason(json: &mut String, (name, refusal): &(&str, NodeRefusal)) {
    text(json, [*name]);
    json.push(':');
    text(json, refusal.parts());
}

fn list<T>(json: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&mut String, &T)) {
    json.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
    json.push(close);
}

/// Writes one text, given in parts, with quotes around it.
fn text<const N: usize>(json: &mut String, parts: [&str; N]) {
    json.push('"');
    for part in parts {
        if needs_escapes(part) {
            let quoted = Value::from(part).to_string();
            json.push_str(&quoted[1..quoted.len() - 1]);
        } else {
            json.push_str(part);
        }
    }
    json.push('"');
}

/// Compares all bytes, even after the first that needs an escape, so that the processor can compare many at once.
fn needs_escapes(text: &str) -> bool {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    text.bytes().fold(false, |any, byte| any | special(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn writes_as_go_reads() {
        assert_eq!(
            all_passed(Some(r#"["a"]"#)),
            r#"{"Nodes":null,"NodeNames":["a"],"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":""}"#
        );
        let two = Filtered {
            passed: vec!["a"],
            failed: vec![("b", NodeRefusal::Other("no \"space\"".into()))],
            unresolvable: vec![("c", NodeRefusal::Other("never".into()))],
        };
        assert_eq!(
            filtered(&two),
            r#"{"Nodes":null,"NodeNames":["a"],"FailedNodes":{},"FailedAndUnresolvableNodes":{"b":"no \"space\"","c":"never"},"Error":""}"#
        );
        assert_eq!(
            scores(&[("a", 10), ("b", 0)]),
            r#"[{"Host":"a","Score":10},{"Host":"b","Score":0}]"#
        );
        assert_eq!(scores(&[]), "[]");
    }

    proptest! {
        /// Whatever is in a text, it is written as `serde_json` writes it.
        #[test]
        fn texts_are_json(names in prop::collection::vec(any::<String>(), 0..4), parts in any::<[String; 3]>()) {
            let mut json = String::new();
            text(&mut json, parts.each_ref().map(String::as_str));
            prop_assert_eq!(json, json!(parts.concat()).to_string());
            let all = Filtered { passed: names.iter().map(String::as_str).collect(), ..Filtered::default() };
            let read: Value = serde_json::from_str(&filtered(&all)).unwrap();
            prop_assert_eq!(&read["NodeNames"], &json!(names));
        }
    }
}
