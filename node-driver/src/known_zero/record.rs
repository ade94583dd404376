//! Which bytes are known to be zero, and under which state of the label areas. Pure.

use std::collections::BTreeMap;

use placement::{Bytes, Extent, RegionId, free_between};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::label_areas::hex;

/// Which free bytes are known to be zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    regions: BTreeMap<RegionId, Zeros>,
}

/// What is known of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Zeros {
    /// The hash of all label areas under which it holds.
    labels: String,
    /// The bytes, in ascending order.
    extents: Vec<Extent>,
}

impl Record {
    pub(super) fn is_about(&self, region: &RegionId) -> bool {
        self.regions.contains_key(region)
    }

    /// The bytes of a region that are known to be zero while its label areas have this hash.
    pub(super) fn under(&self, region: &RegionId, labels: Option<&str>) -> Option<&[Extent]> {
        let zeros = self.regions.get(region)?;
        (labels == Some(&*zeros.labels)).then_some(&zeros.extents)
    }

    /// The bytes that were noted of a region, whether or not its label areas are as they were.
    pub(super) fn noted(&self, region: &RegionId) -> &[Extent] {
        self.regions.get(region).map_or(&[], |zeros| &zeros.extents)
    }

    /// Notes what is known of a region: nothing else is.
    pub(super) fn put(&mut self, region: &RegionId, labels: String, extents: Vec<Extent>) {
        if extents.is_empty() {
            self.forget(region);
        } else {
            self.regions.insert(region.clone(), Zeros { labels, extents });
        }
    }

    pub(super) fn forget(&mut self, region: &RegionId) {
        self.regions.remove(region);
    }

    /// Forgets some bytes of a region.
    pub(super) fn forget_part(&mut self, region: &RegionId, part: &[Extent]) {
        if let Some(zeros) = self.regions.remove(region) {
            let extents = without(&zeros.extents, part);
            self.put(region, zeros.labels, extents);
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
pub(super) fn without(one: &[Extent], other: &[Extent]) -> Vec<Extent> {
    complement(&[&complement(one), other].concat())
}

/// Whether all of `part` is in `whole`.
pub(super) fn holds(whole: &[Extent], part: Extent) -> bool {
    without(&[part], whole).is_empty()
}

fn complement(of: &[Extent]) -> Vec<Extent> {
    free_between(Bytes::MAX, of.iter().copied())
}

#[cfg(test)]
mod tests;
