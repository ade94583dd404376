//! The id of a volume, made of the name that CreateVolume gives.

use std::fmt;

use crate::hash::hex;

/// Bytes of the longest id that a new volume gets: the label of its namespace has 63 for the id and the mark
/// (docs/on-media-format.md).
const LONGEST: usize = 48;

/// CSI id of a volume, name of its PmemVolume and in the label of its namespace: a DNS label. Volumes made before there were
/// marks have up to 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId(String);

impl VolumeId {
    /// The id of the volume that CreateVolume calls `name`: the name itself where it can be one, as `pvc-<uid>` can,
    /// else a hash of it. The same name has always the same id.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let short = Self::parse(name).filter(|id| id.0.len() <= LONGEST);
        short.unwrap_or_else(|| Self(format!("v-{}", hex(name, 20))))
    }

    /// Reads an id. What can never have been one is none: there is no such volume.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        is_dns_label(id).then(|| Self(id.into()))
    }

    /// The id as CSI and Kubernetes spell it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// RFC 1123, as Kubernetes checks it.
fn is_dns_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(|b| allowed(*b)) && bytes.last().is_some_and(|b| allowed(*b));
    ends && bytes.len() <= 63 && bytes.iter().all(|byte| allowed(*byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kubernetes_stay() {
        let name = "pvc-6c2f5c2e-52a5-4c2a-8a62-5a1f1d1f0a11";
        assert_eq!(VolumeId::of_name(name).as_str(), name);
    }

    #[test]
    fn other_names_become_valid_ones() {
        let long = "x".repeat(LONGEST + 1);
        for name in ["Sanity_Volume 1", "-a", "a-", "a.b", "", long.as_str(), "\u{e9}"] {
            let id = VolumeId::of_name(name);
            assert!(
                is_dns_label(id.as_str()) && id.as_str().len() <= LONGEST,
                "{name}: {id}"
            );
            assert_eq!(id, VolumeId::of_name(name));
        }
        assert_ne!(VolumeId::of_name("A"), VolumeId::of_name("B"));
    }

    #[test]
    fn an_earlier_id_may_be_longer() {
        let earlier = "x".repeat(63);
        assert_eq!(VolumeId::parse(&earlier).unwrap().as_str(), earlier);
        assert_eq!(VolumeId::of_name(&"x".repeat(LONGEST)).as_str().len(), LONGEST);
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        assert_eq!(VolumeId::parse("../nodes"), None);
        assert_eq!(VolumeId::parse(&"x".repeat(64)), None);
    }
}
