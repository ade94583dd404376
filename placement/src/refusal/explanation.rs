//! Why claims do not fit on a node, as data: every number that a person would ask for.

use std::fmt;

use serde::Serialize;

use super::Refusal;
use super::space::{ReservedSpace, Space, best, extents, free};
use super::text::RefusalText;
use crate::{Bytes, NumaNode};

/// Why claims do not fit on a node, for tools (as JSON, sizes in bytes) and for people (as text, short enough for the
/// summary of kube-scheduler).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The text for people.
    pub message: String,
    /// Which kind of reason it is.
    pub kind: RefusalKind,
    /// Usable bytes asked for, claim by claim: all claims of the pod, or the one that does not even fit alone.
    pub asked: Vec<Bytes>,
    /// How many of them have to be on one NUMA node; none if that restricts nothing.
    pub on_one_numa_node: usize,
    /// Usable bytes of the largest namespace that can be made now.
    pub largest: Bytes,
    /// The NUMA node where that is, if the platform says.
    pub largest_numa: Option<NumaNode>,
    /// Raw free bytes.
    pub free: Bytes,
    /// In how many extents they are.
    pub extents: usize,
    /// The same, region by region: those that the claims may be in.
    pub regions: Vec<Space>,
    /// What is taken off the free bytes for claims that the node was chosen for and that have no volume yet.
    pub reserved: Vec<ReservedSpace>,
}

/// Which kind of reason it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusalKind {
    /// No namespace can be that large.
    BeyondAddressing,
    /// The smallest namespace that is large enough is larger than the limit of the claim.
    LimitTooLow,
    /// No region to ask.
    NoRegion,
    /// One claim has no free extent that is large enough.
    NoSpace,
    /// There is an order of creation in which one of the claims has no free extent that is large enough.
    NotTogether,
    /// There are too many orders of creation to tell.
    Unknown,
}

impl Explanation {
    /// Explains `refusal` on a node where `reserved` is taken off the free space.
    #[must_use]
    pub fn new(refusal: &Refusal, reserved: &[ReservedSpace]) -> Self {
        let regions = refusal.space();
        let reserved = if regions.is_empty() { &[] } else { reserved };
        Self {
            message: RefusalText(refusal, reserved).to_string(),
            kind: kind(refusal),
            asked: refusal.required(),
            on_one_numa_node: refusal.on_one_numa_node(),
            largest: best(regions).map_or(Bytes::ZERO, |best| best.largest),
            largest_numa: best(regions).and_then(|best| best.numa),
            free: free(regions),
            extents: extents(regions),
            regions: regions.to_vec(),
            reserved: reserved.to_vec(),
        }
    }
}

/// The message.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn kind(refusal: &Refusal) -> RefusalKind {
    match refusal {
        Refusal::BeyondAddressing { .. } => RefusalKind::BeyondAddressing,
        Refusal::LimitTooLow { .. } => RefusalKind::LimitTooLow,
        Refusal::NoRegion { .. } => RefusalKind::NoRegion,
        Refusal::NoSpace { .. } => RefusalKind::NoSpace,
        Refusal::NotTogether { tried_all: true, .. } => RefusalKind::NotTogether,
        Refusal::NotTogether { tried_all: false, .. } => RefusalKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(numa: u32, largest: u32, free: u32, extents: usize) -> Space {
        Space {
            numa: Some(NumaNode(numa)),
            largest: Bytes::mib(largest),
            free: Bytes::mib(free),
            extents,
        }
    }

    fn reserved(claim: &str) -> ReservedSpace {
        ReservedSpace {
            claim: claim.into(),
            bytes: Bytes::mib(32),
        }
    }

    fn refusal(tried_all: bool) -> Refusal {
        Refusal::NotTogether {
            required: vec![Bytes::mib(96), Bytes::mib(28)],
            on_one_numa_node: 0,
            space: vec![space(0, 48, 80, 3), space(1, 64, 100, 1)],
            tried_all,
        }
    }

    #[test]
    fn the_text_is_short_and_has_the_numbers() {
        let text = |claims: &[&str]| {
            let reserved: Vec<ReservedSpace> = claims.iter().map(|claim| reserved(claim)).collect();
            Explanation::new(&refusal(true), &reserved).to_string()
        };
        let start = "asked 96 MiB + 28 MiB; largest extent 64 MiB on NUMA 1, 180 MiB free in 4 extents";
        assert_eq!(text(&[]), start);
        assert_eq!(text(&["ns/a"]), format!("{start}, 32 MiB reserved for ns/a"));
        assert_eq!(
            text(&["ns/a", "ns/b"]),
            format!("{start}, 64 MiB reserved for ns/a and ns/b")
        );
        assert_eq!(
            text(&["ns/a", "ns/b", "ns/c"]),
            format!("{start}, 96 MiB reserved for ns/a and 2 more")
        );
        let unknown = Explanation::new(&refusal(false), &[]);
        assert_eq!(unknown.message, format!("{start}; too many orders of creation to try"));
    }

    #[test]
    fn tools_get_bytes() {
        let explanation = Explanation::new(&refusal(true), &[reserved("ns/a")]);
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["kind"], "notTogether");
        assert_eq!(json["asked"], serde_json::json!([96 << 20, 28 << 20]));
        assert_eq!(
            (&json["largest"], &json["largestNuma"]),
            (&(64 << 20).into(), &1.into())
        );
        assert_eq!((&json["free"], &json["extents"]), (&(180 << 20).into(), &4.into()));
        assert_eq!(json["regions"][1]["numa"], 1);
        assert_eq!(
            json["reserved"],
            serde_json::json!([{ "claim": "ns/a", "bytes": 32 << 20 }])
        );
    }

    #[test]
    fn what_never_fits_is_not_for_want_of_space() {
        let refusal = Refusal::NoRegion {
            unready: Vec::new(),
            required: Bytes::mib(1),
            numa: Some(NumaNode(7)),
        };
        let explanation = Explanation::new(&refusal, &[reserved("ns/a")]);
        assert_eq!(explanation.message, "asked 1 MiB: no ready region on NUMA 7");
        assert_eq!(
            (explanation.kind, explanation.reserved),
            (RefusalKind::NoRegion, vec![])
        );
    }
}
