//! What a request is about, by its address.

use std::collections::BTreeMap;

use super::kind::{Key, Kind};
use super::refusal::Refusal;
use super::selector::Selector;
use super::store::Part;

/// What a request is about.
#[derive(Debug)]
pub(super) struct Target {
    /// Of a collection, the name is empty.
    pub(super) key: Key,
    pub(super) part: Part,
    pub(super) query: BTreeMap<String, String>,
}

impl Target {
    pub(super) fn parse(uri: &http::Uri) -> Result<Self, Refusal> {
        let unknown = || Refusal::not_found(format!("the simulation knows no {uri}"));
        let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
        let skipped = match parts.next() {
            Some("api") => 1,
            Some("apis") => 2,
            _ => return Err(unknown()),
        };
        let rest: Vec<&str> = parts.skip(skipped).collect();
        let (namespace, rest) = match rest[..] {
            ["namespaces", namespace, ..] if rest.len() > 2 => (namespace, &rest[2..]),
            _ => ("", &rest[..]),
        };
        let (plural, name, part) = match *rest {
            [plural] => (plural, "", Part::Main),
            [plural, name] => (plural, name, Part::Main),
            [plural, name, "status"] => (plural, name, Part::Status),
            _ => return Err(unknown()),
        };
        let kind = Kind::of_plural(plural).ok_or_else(unknown)?;
        Ok(Self {
            key: Key::in_namespace(kind, namespace, name),
            part,
            query: form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        })
    }

    pub(super) fn selector(&self) -> Selector {
        let text = |key: &str| self.query.get(key).map(String::as_str).unwrap_or_default();
        Selector::new(text("labelSelector"), text("fieldSelector"))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.query
            .get("watch")
            .is_some_and(|watch| watch == "true" || watch == "1")
    }
}
