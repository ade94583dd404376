//! Objects as Go writes them without JSON tags: keys may be in any case, and unknown ones are skipped.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use super::extender_args::NodeName;

/// An object with some keys that matter.
pub(super) trait GoObject<'de>: Default {
    /// Takes the value of `key` from `map` if it matters, and says whether it does.
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;

    /// Reads all of it.
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(GoVisitor(PhantomData))
    }
}

struct GoVisitor<T>(PhantomData<T>);

impl<'de, T: GoObject<'de>> Visitor<'de> for GoVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of kube-scheduler")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(NodeName(key)) = map.next_key()? {
            if !object.take(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}
