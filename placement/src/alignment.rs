//! The unit in which a region hands out space.

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// The unit in which a region hands out space (`align` of the region in sysfs): never zero.
///
/// 4 KiB, 2 MiB or 16 MiB, times the interleave ways where these do not divide it evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Bytes", into = "Bytes")]
pub struct Alignment(Bytes);

/// The alignment is not a positive multiple of 4 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the alignment of a region: it has to be a positive multiple of 4 KiB")]
pub struct NotAnAlignment(Bytes);

impl Alignment {
    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> Bytes {
        self.0
    }
}

impl TryFrom<Bytes> for Alignment {
    type Error = NotAnAlignment;

    fn try_from(bytes: Bytes) -> Result<Self, NotAnAlignment> {
        if bytes.is_zero() || !bytes.is_multiple_of(Bytes::kib(4)) {
            return Err(NotAnAlignment(bytes));
        }
        Ok(Self(bytes))
    }
}

impl From<Alignment> for Bytes {
    fn from(alignment: Alignment) -> Self {
        alignment.0
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Alignment {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Alignment".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "format": "int64", "minimum": 4096, "multipleOf": 4096 })
    }
}
