//! Label and field selectors: what is and is not equal, all of which has to hold.

use serde_json::Value;

/// What all has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<Term>,
    /// By path; what is missing equals the empty text.
    fields: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: String,
    is_equal: bool,
    value: String,
}

impl Selector {
    pub(super) fn new(labels: &str, fields: &str) -> Self {
        Self {
            labels: terms(labels),
            fields: terms(fields),
        }
    }

    /// Whether an object is selected.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| object["metadata"]["labels"][key].as_str().unwrap_or_default();
        let field = |path: &str| {
            let value = path.split('.').fold(object, |value, key| &value[key]);
            value.as_str().unwrap_or_default()
        };
        self.labels.iter().all(|term| term.holds(label(&term.key)))
            && self.fields.iter().all(|term| term.holds(field(&term.key)))
    }
}

impl Term {
    fn holds(&self, found: &str) -> bool {
        (found == self.value) == self.is_equal
    }
}

fn terms(text: &str) -> Vec<Term> {
    text.split(',').filter_map(term).collect()
}

/// `key=value`, `key==value` or `key!=value`.
fn term(text: &str) -> Option<Term> {
    let (key, value) = text.split_once('=')?;
    let unequal = key.strip_suffix('!');
    Some(Term {
        key: unequal.unwrap_or(key).into(),
        is_equal: unequal.is_none(),
        value: value.trim_start_matches('=').into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_terms_have_to_hold() {
        let waits = Selector::new("", "spec.nodeName=,status.phase!=Failed");
        assert!(waits.matches(&json!({ "status": { "phase": "Running" } })));
        assert!(!waits.matches(&json!({ "status": { "phase": "Failed" } })));
        assert!(!waits.matches(&json!({ "spec": { "nodeName": "n" } })));
        let labelled = Selector::new("a==b", "");
        assert!(labelled.matches(&json!({ "metadata": { "labels": { "a": "b" } } })));
        assert!(!labelled.matches(&json!({})));
    }
}
