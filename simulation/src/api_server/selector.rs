//! Label and field selectors: equalities, all of which have to hold.

use serde_json::Value;

/// Equalities that all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<(String, String)>,
    /// By path; what is missing equals the empty text.
    fields: Vec<(String, String)>,
}

impl Selector {
    pub(super) fn new(labels: &str, fields: &str) -> Self {
        Self {
            labels: equalities(labels),
            fields: equalities(fields),
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
        self.labels.iter().all(|(key, value)| label(key) == value)
            && self.fields.iter().all(|(path, value)| field(path) == value)
    }
}

fn equalities(text: &str) -> Vec<(String, String)> {
    let parts = text.split(',').filter_map(|part| part.split_once('='));
    parts
        .map(|(key, value)| (key.into(), value.trim_start_matches('=').into()))
        .collect()
}
