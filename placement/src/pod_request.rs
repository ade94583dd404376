//! The wants of one pod, to be asked of many nodes.

use std::sync::Arc;

use crate::joint::{STEPS_PER_ASK, STEPS_PER_NODE};
use crate::node::on_one_numa_node;
use crate::refusal::Asked;
use crate::rooms::from_hole;
use crate::{Alignment, Bytes, VolumeRequest};

/// The wants of one pod, prepared to be asked of many nodes.
///
/// Those that wish to be [`Together`](crate::NumaWish::Together) may be among the others. A claim of the pod that is on
/// a NUMA node already is not asked for; the caller replaces the wish of the others by that node.
#[derive(Clone, Debug)]
pub struct PodRequest {
    requests: Vec<VolumeRequest>,
    /// "asked 28 MiB", for each want.
    each: Vec<Arc<str>>,
    /// "asked 28 MiB + 14 MiB".
    together: Arc<str>,
    /// For each alignment met so far, what each want takes; none where there is no such namespace.
    takes: Vec<(Alignment, Vec<Option<Bytes>>)>,
    /// Steps that are left for searches among the orders of creation.
    steps: usize,
}

impl PodRequest {
    /// Asks for all of `wants` together.
    #[must_use]
    pub fn new(requests: Vec<VolumeRequest>) -> Self {
        let required: Vec<Bytes> = requests.iter().map(|request| request.required).collect();
        let asked = |required: &[Bytes], on_one| Asked(required, on_one).to_string().into();
        Self {
            each: required.iter().map(|bytes| asked(&[*bytes], 0)).collect(),
            together: asked(&required, on_one_numa_node(&requests)),
            takes: Vec::new(),
            steps: STEPS_PER_ASK,
            requests,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn requests(&self) -> &[VolumeRequest] {
        &self.requests
    }

    /// "asked 28 MiB", for one of the wants.
    pub(crate) fn text_of(&self, index: usize) -> Arc<str> {
        self.each[index].clone()
    }

    /// "asked 28 MiB + 14 MiB".
    pub(crate) fn text(&self) -> Arc<str> {
        self.together.clone()
    }

    /// Runs a search on one node, with what it may take of the steps that are left.
    pub(crate) fn search<T>(&mut self, search: impl FnOnce(&mut usize) -> T) -> T {
        let given = self.steps.min(STEPS_PER_NODE);
        let mut steps = given;
        let answer = search(&mut steps);
        self.steps -= given - steps;
        answer
    }

    /// What each want takes from a hole of a region of `alignment`; none where there is no such namespace.
    pub(crate) fn takes(&mut self, alignment: Alignment) -> &[Option<Bytes>] {
        let known = self.takes.iter().position(|(of, _)| *of == alignment);
        let index = known.unwrap_or_else(|| {
            let footprint =
                |request: &VolumeRequest| request.mode.footprint(alignment, request.required, request.limit).ok();
            let takes = |request: &VolumeRequest| footprint(request).map(|raw| from_hole(raw, alignment));
            let all = self.requests.iter().map(takes).collect();
            self.takes.push((alignment, all));
            self.takes.len() - 1
        });
        &self.takes[index].1
    }
}
