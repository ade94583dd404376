//! Whether the requests of a pod fit into the holes of a node, and what they leave of these.

use crate::holes::{Holes, Sizes};
use crate::order::in_every_order;
use crate::{Bytes, Joint, NumaWish, PodRequest};

/// Why the requests of a pod do not fit, without the numbers: it costs nothing to make for each of thousands of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The request with this index has no hole, even alone.
    NoSpace(usize),
    /// The request with this index never fits: not for want of free space.
    Never(usize),
    /// Each fits alone, but not all in every order of creation.
    NotTogether {
        /// Whether an order that fails was found. If not, there are too many to try.
        tried_all: bool,
    },
}

/// What all requests of a pod do to the holes, created in the order given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken {
    pub bytes: Bytes,
    /// Of the holes that are used.
    pub left_over: Bytes,
    /// Of the regions that are used, once for each request.
    pub surcharge: Bytes,
}

impl Joint {
    pub(crate) fn misfit(&self) -> Result<(), Misfit> {
        match self {
            Self::Fits => Ok(()),
            Self::Fails(_) => Err(Misfit::NotTogether { tried_all: true }),
            Self::Unknown => Err(Misfit::NotTogether { tried_all: false }),
        }
    }
}

impl Holes {
    /// Whether each of the requests fits if it is the only one.
    ///
    /// # Errors
    /// The first that does not.
    pub fn fit_each(&self, pod_request: &mut PodRequest) -> Result<(), Misfit> {
        (0..pod_request.requests().len()).try_for_each(|index| self.fit_alone(pod_request, index))
    }

    fn fit_alone(&self, pod_request: &mut PodRequest, index: usize) -> Result<(), Misfit> {
        let mut misfit = Misfit::Never(index);
        for region in self.regions() {
            match pod_request.footprint(index, region, NumaWish::Any) {
                Some(footprint) if footprint <= region.largest => return Ok(()),
                Some(_) => misfit = Misfit::NoSpace(index),
                None => {}
            }
        }
        Err(misfit)
    }

    /// Whether requests that fit alone do so together in every order, with one of the choices for `together`.
    pub fn fit_in_every_order(&self, pod_request: &mut PodRequest) -> Result<(), Misfit> {
        let mut tried_all = true;
        for choice in self.choices(pod_request) {
            match self.joint(pod_request, choice) {
                Joint::Fits => return Ok(()),
                Joint::Fails(_) => {}
                Joint::Unknown => tried_all = false,
            }
        }
        Err(Misfit::NotTogether { tried_all })
    }

    /// The choice for `together` with which requests that fit alone do so in every order. Of several, it is the one where
    /// the least is left over, then the first.
    pub fn settle(&self, pod_request: &mut PodRequest) -> Result<NumaWish, Misfit> {
        let choices = self.choices(pod_request);
        let joints: Vec<Joint> = choices.iter().map(|choice| self.joint(pod_request, *choice)).collect();
        let fitting = choices.iter().zip(&joints).filter(|(_, joint)| **joint == Joint::Fits);
        let mut left_over = |choice: NumaWish| {
            self.take_all(pod_request, choice)
                .map_or(Bytes::MAX, |all| all.left_over)
        };
        let best = fitting
            .map(|(choice, _)| *choice)
            .min_by_key(|choice| left_over(*choice));
        best.ok_or_else(|| Misfit::NotTogether {
            tried_all: !joints.contains(&Joint::Unknown),
        })
    }

    /// Whether all requests fit in every order if `together` comes to `choice`.
    fn joint(&self, pod_request: &mut PodRequest, choice: NumaWish) -> Joint {
        let footprints = pod_request.footprints(self, choice);
        pod_request.search(|steps| in_every_order(self, &footprints, steps))
    }

    /// The most that one of the requests takes in any region.
    pub fn most(&self, pod_request: &mut PodRequest, index: usize) -> Bytes {
        let footprint = |region| pod_request.footprint(index, region, NumaWish::Any);
        self.regions().iter().filter_map(footprint).max().unwrap_or_default()
    }

    /// Whether one of the requests may be in a hole that has so many bytes.
    pub fn have_one_of(&self, bytes: Bytes, pod_request: &mut PodRequest, index: usize) -> bool {
        let mut may_be_in = |region| pod_request.footprint(index, region, NumaWish::Any).is_some();
        self.regions()
            .iter()
            .any(|region| bytes <= region.largest && may_be_in(region))
    }

    /// What all requests take in the order given if `together` comes to `choice`; none if one of them finds no hole.
    pub fn take_all(&self, pod_request: &mut PodRequest, choice: NumaWish) -> Option<Taken> {
        let mut sizes = Sizes::from_slice(self.sizes());
        let mut all = Taken::default();
        for index in 0..pod_request.requests().len() {
            let chosen = self.choose(&sizes, |_, region| pod_request.footprint(index, region, choice))?;
            sizes[chosen.hole] = chosen.left_over;
            all.bytes = all.bytes.plus(chosen.taken);
            all.left_over = all.left_over.plus(chosen.left_over);
            all.surcharge = all.surcharge.plus(self.regions()[chosen.region].surcharge);
        }
        Some(all)
    }
}
