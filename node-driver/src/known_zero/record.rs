//! Which bytes are known to be zero, and under which state of the label areas. Pure.

use std::collections::BTreeMap;

use placement::{Bytes, Extent, RegionId, free_between};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::label_areas::hex;

/// Which free bytes are known to be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    regions: BTreeMap<RegionId, Noted>,
}

/// What is known of a region, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Noted {
    /// The hash of all label areas under which it holds.
    labels: String,
    #[serde(flatten)]
    zeros: Zeros,
}

/// Bytes of a region that are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Zeros {
    /// Those that are free, in ascending order.
    #[serde(rename = "extents")]
    pub(super) free: Vec<Extent>,
    /// What was erased so far of the namespaces with these UUIDs, which are still being erased.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) erased: BTreeMap<Uuid, Extent>,
}

impl Zeros {
    fn is_empty(&self) -> bool {
        self.free.is_empty() && self.erased.is_empty()
    }
}

impl Record {
    pub(super) fn is_about(&self, region: &RegionId) -> bool {
        self.regions.contains_key(region)
    }

    /// What is known of a region while its label areas have this hash.
    pub(super) fn under(&self, region: &RegionId, labels: Option<&str>) -> Option<&Zeros> {
        let noted = self.regions.get(region)?;
        (labels == Some(&*noted.labels)).then_some(&noted.zeros)
    }

    /// The free bytes that were noted of a region, whether or not its label areas are as they were.
    pub(super) fn noted(&self, region: &RegionId) -> &[Extent] {
        self.regions.get(region).map_or(&[], |noted| &noted.zeros.free)
    }

    /// Notes what is known of a region: nothing else is.
    pub(super) fn put(&mut self, region: &RegionId, labels: String, zeros: Zeros) {
        if zeros.is_empty() {
            self.forget(region);
        } else {
            self.regions.insert(region.clone(), Noted { labels, zeros });
        }
    }

    pub(super) fn forget(&mut self, region: &RegionId) {
        self.regions.remove(region);
    }

    /// Forgets some free bytes of a region.
    pub(super) fn forget_part(&mut self, region: &RegionId, part: &[Extent]) {
        if let Some(Noted { labels, mut zeros }) = self.regions.remove(region) {
            zeros.free = without(&zeros.free, part);
            self.put(region, labels, zeros);
        }
    }

    /// As the file has it: a hash, and what it is of.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let text = serde_json::to_string(self)?;
        Ok(format!("{}\n{text}\n", hash(&text)).into_bytes())
    }

    /// What the file says. Nothing is known of one that is not whole.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, text) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
        let text = text.strip_suffix('\n')?;
        (hash(text) == first).then(|| serde_json::from_str(text).ok())?
    }
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// What both have.
pub(super) fn common(one: &[Extent], other: &[Extent]) -> Vec<Extent> {
    without(one, &complement(other))
}

/// What either has, in ascending order, with no two that touch.
pub(super) fn either(one: &[Extent], other: &[Extent]) -> Vec<Extent> {
    complement(&complement(&[one, other].concat()))
}

/// What the first has and the second has not.
pub(crate) fn without(one: &[Extent], other: &[Extent]) -> Vec<Extent> {
    complement(&[&complement(one), other].concat())
}

fn complement(of: &[Extent]) -> Vec<Extent> {
    free_between(Bytes::MAX, of.iter().copied())
}

#[cfg(test)]
mod tests;
