//! What all claims of one pod ask, to be tried on many nodes.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::holes::{Footprints, Holes, RegionHoles};
use crate::order::{STEPS_PER_NODE, STEPS_PER_POD};
use crate::refusal::AskedText;
use crate::{Alignment, Bytes, NumaWish};

use super::VolumeRequest;

/// What all claims of one pod ask, to be tried on many nodes.
///
/// It remembers what each request takes in regions of each alignment, and counts the steps of all searches among orders of
/// creation. Requests that wish to be [`Together`](NumaWish::Together) may be among the others. A claim of the pod that has
/// its volume already is left out; the caller then gives the others the NUMA node of that volume.
#[derive(Clone, Debug)]
pub struct PodRequest {
    asked: Arc<Asked>,
    /// For each alignment met so far, what each request takes from a hole.
    taken_from_holes: Vec<(Alignment, Vec<Option<Bytes>>)>,
    /// Steps that are left for searches among the orders of creation.
    steps: usize,
}

/// The requests and the texts about them, which the reasons of many refusals share.
#[derive(Debug)]
pub(crate) struct Asked {
    pub requests: Vec<VolumeRequest>,
    /// "asked 28 MiB", for each request.
    pub each: Vec<String>,
    /// "asked 28 MiB + 14 MiB"
    pub all: String,
}

impl PodRequest {
    /// Asks for all of `requests` on one node.
    #[must_use]
    pub fn new(requests: Vec<VolumeRequest>) -> Self {
        let required: Vec<Bytes> = requests.iter().map(|request| request.required).collect();
        let each = required.chunks(1).map(|required| AskedText(required, 0).to_string());
        let asked = Asked {
            each: each.collect(),
            all: AskedText(&required, on_one_numa_node(&requests)).to_string(),
            requests,
        };
        Self {
            asked: asked.into(),
            taken_from_holes: Vec::new(),
            steps: STEPS_PER_POD,
        }
    }

    /// The requests, in the order in which they were given.
    #[must_use]
    pub fn requests(&self) -> &[VolumeRequest] {
        &self.asked.requests
    }

    /// How refusals begin: "asked 28 MiB + 14 MiB", and how many of these have to be on one NUMA node.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.asked.all
    }

    pub(crate) fn asked(&self) -> Arc<Asked> {
        self.asked.clone()
    }

    /// Whether several of the requests have to be on one NUMA node.
    pub(crate) fn is_bound_together(&self) -> bool {
        on_one_numa_node(self.requests()) > 0
    }

    /// Whether any request wishes to be together with others, of this pod or of volumes that it does not know of.
    pub(crate) fn wishes_together(&self) -> bool {
        self.requests().iter().any(|request| request.numa == NumaWish::Together)
    }

    /// What one of the requests takes from a hole of `region` if `together` comes to `choice`; none if it cannot be there.
    pub(crate) fn footprint(&mut self, index: usize, region: &RegionHoles, choice: NumaWish) -> Option<Bytes> {
        let request = self.requests()[index].settled(choice);
        request.footprint_in(region, |alignment| self.taken_from_holes(alignment)[index])
    }

    /// What each of the requests takes in each region of a node if `together` comes to `choice`.
    pub(crate) fn footprints(&mut self, holes: &Holes, choice: NumaWish) -> SmallVec<[Footprints; 4]> {
        let n = self.requests().len();
        let of = |index| -> Footprints {
            let regions = holes.regions().iter();
            regions.map(|region| self.footprint(index, region, choice)).collect()
        };
        (0..n).map(of).collect()
    }

    /// Runs a search on one node, with what it may take of the steps that are left.
    pub(crate) fn search<T>(&mut self, search: impl FnOnce(&mut usize) -> T) -> T {
        let most = self.steps.min(STEPS_PER_NODE);
        let mut left = most;
        let found = search(&mut left);
        self.steps -= most - left;
        found
    }

    /// What each request takes from a hole of a region of `alignment`, computed once: that takes a search, and to search on
    /// each of thousands of nodes makes a filter take seven times as long.
    fn taken_from_holes(&mut self, alignment: Alignment) -> &[Option<Bytes>] {
        let met = self.taken_from_holes.iter().position(|(of, _)| *of == alignment);
        let index = met.unwrap_or_else(|| {
            let each = self
                .requests()
                .iter()
                .map(|request| request.taken_from_hole(alignment))
                .collect();
            self.taken_from_holes.push((alignment, each));
            self.taken_from_holes.len() - 1
        });
        &self.taken_from_holes[index].1
    }
}

/// How many of `requests` have to be on one NUMA node; none if that restricts nothing.
pub(crate) fn on_one_numa_node(requests: &[VolumeRequest]) -> usize {
    let wish_it = requests.iter().filter(|request| request.numa == NumaWish::Together);
    match wish_it.count() {
        1 => 0,
        several => several,
    }
}
