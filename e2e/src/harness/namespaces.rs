//! Namespaces as `ndctl` lists them, or as the drivers recorded them.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::workload::bytes_at;

/// A namespace as `ndctl list -N` shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Namespace {
    /// The name in its label.
    #[serde(default)]
    pub(crate) name: String,
    /// fsdax, sector, raw …
    pub(crate) mode: String,
    /// Usable bytes.
    pub(crate) size: i64,
    /// The block device.
    #[serde(default)]
    pub(crate) blockdev: String,
    /// As it was printed.
    #[serde(skip)]
    pub(crate) shown: String,
}

impl Namespace {
    /// The namespace as the status of its PmemVolume has it.
    pub(super) fn recorded(volume: &Value) -> Result<Self> {
        let text = |pointer: &str| {
            let found = volume.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        Ok(Self {
            name: text("/metadata/name"),
            mode: text("/spec/mode"),
            size: bytes_at(volume, "/status/usable")?.get(),
            blockdev: String::new(),
            shown: serde_json::to_string_pretty(&volume["status"])?,
        })
    }

    /// Reads one object that ndctl printed.
    pub(super) fn read(printed: Value) -> Result<Self> {
        let shown = serde_json::to_string_pretty(&printed)?;
        let namespace: Self = serde_json::from_value(printed).context("ndctl list prints something else")?;
        Ok(Self { shown, ..namespace })
    }
}

/// Whether the name in a label is that of a namespace of `volume`. Behind a dot is how far it has come.
pub(super) fn is_of(label: &str, volume: &str) -> bool {
    label.split('.').next() == Some(volume)
}

/// The namespaces that `ndctl list -N` printed: one as an object, several as a list, none as nothing. Those without a label
/// are whole regions that are not divided, and are left out.
pub(super) fn labelled(printed: &str) -> Result<Vec<Value>> {
    if printed.trim().is_empty() {
        return Ok(Vec::new());
    }
    let list = match serde_json::from_str(printed).context("ndctl list prints no JSON")? {
        Value::Array(list) => list,
        one => vec![one],
    };
    Ok(list
        .into_iter()
        .filter(|namespace| namespace["uuid"].is_string())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_one_and_several_are_read_and_regions_left_out() {
        let count = |printed: &str| labelled(printed).unwrap().len();
        assert_eq!(count("\n"), 0);
        assert_eq!(count(r#"{"uuid":"a"}"#), 1);
        assert_eq!(count(r#"[{"uuid":"a"},{"dev":"namespace1.0"}]"#), 1);
    }
}
