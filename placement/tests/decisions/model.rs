//! A plain and slow model of the kernel, the node driver and every order of creation, and that the crate agrees with it.
//!
//! It shares the formulas of sizes with the crate (`Mode::footprint`), and nothing else.

use std::collections::BTreeSet;

use placement::{
    Alignment, Bytes, Cost, Joint, Node, NumaNode, NumaWish, PodRequest, Policy, PreparedNode, Reservation,
    VolumeRequest,
};
use proptest::prelude::*;

use crate::nodes::{nodes, requests, settled};

#[derive(Clone, Debug)]
struct Model(Vec<ModelRegion>);

#[derive(Clone, Debug)]
struct ModelRegion {
    numa: Option<NumaNode>,
    alignment: Alignment,
    /// Start and end of each free extent, ascending.
    free: Vec<(i64, i64)>,
}

/// What a request takes: raw bytes at an offset of a region, and what the kernel can still use of that hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    region: usize,
    start: i64,
    size: i64,
    left_over: i64,
}

impl Model {
    fn of(node: &Node) -> Self {
        let region = |region: &placement::Region| ModelRegion {
            numa: region.numa,
            alignment: region.alignment,
            free: region
                .free
                .iter()
                .map(|hole| (hole.start.get(), hole.end().get()))
                .collect(),
        };
        Self(node.regions.iter().map(region).collect())
    }

    fn place(&mut self, request: &VolumeRequest) -> Option<Taken> {
        let mut best: Option<Taken> = None;
        for (index, region) in self.0.iter().enumerate() {
            if let NumaWish::Node(wished) = request.numa
                && region.numa != Some(wished)
            {
                continue;
            }
            let Some(taken) = region.lowest(index, request) else {
                continue;
            };
            if best.is_none_or(|best| taken.left_over < best.left_over) {
                best = Some(taken);
            }
        }
        let taken = best?;
        self.0[taken.region].take(taken.start, taken.start + taken.size);
        Some(taken)
    }

    fn place_all(&self, requests: &[VolumeRequest]) -> Option<Vec<Taken>> {
        let mut after = self.clone();
        requests.iter().map(|request| after.place(request)).collect()
    }

    fn fits_in_every_order(&self, requests: &[VolumeRequest]) -> bool {
        (0..requests.len()).all(|first| {
            let (mut after, mut others) = (self.clone(), requests.to_vec());
            after.place(&others.remove(first)).is_some() && after.fits_in_every_order(&others)
        })
    }

    /// What `together` can come to.
    fn choices(&self, requests: &[VolumeRequest]) -> Vec<NumaWish> {
        let together = requests.iter().filter(|request| request.numa == NumaWish::Together);
        let numas: BTreeSet<NumaNode> = self.0.iter().filter_map(|region| region.numa).collect();
        if together.count() < 2 || numas.is_empty() {
            return vec![NumaWish::Any];
        }
        numas.into_iter().map(NumaWish::Node).collect()
    }
}

impl ModelRegion {
    /// The first hole that is large enough, counted from its first aligned byte to its last.
    fn lowest(&self, region: usize, request: &VolumeRequest) -> Option<Taken> {
        let unit = self.alignment.get().get();
        let footprint = request.mode.footprint(self.alignment, request.required, request.limit);
        let size = footprint.ok()?.get();
        for (start, end) in &self.free {
            let (start, end) = (up(*start, unit), end / unit * unit);
            if end - start >= size {
                let left_over = end - up(start + size, unit);
                return Some(Taken {
                    region,
                    start,
                    size,
                    left_over,
                });
            }
        }
        None
    }

    fn take(&mut self, from: i64, to: i64) {
        let mut free = Vec::new();
        for (start, end) in self.free.drain(..) {
            if to <= start || end <= from {
                free.push((start, end));
            } else {
                free.extend(
                    [(start, from), (to, end)]
                        .into_iter()
                        .filter(|(start, end)| start < end),
                );
            }
        }
        self.free = free;
    }
}

fn up(n: i64, unit: i64) -> i64 {
    (n + unit - 1) / unit * unit
}

fn all_settled(requests: &[VolumeRequest], choice: NumaWish) -> Vec<VolumeRequest> {
    requests.iter().map(|request| settled(request, choice)).collect()
}

/// The expected cost of requests with this choice.
fn cost(node: &Node, policy: Policy, requests: &[VolumeRequest], choice: NumaWish) -> Option<Cost> {
    let taken = Model::of(node).place_all(&all_settled(requests, choice))?;
    let bytes = |n: i64| Bytes::try_from(n).unwrap();
    let whole = |taken: &Taken| up(taken.size, node.regions[taken.region].alignment.get().get());
    let free: Bytes = node
        .regions
        .iter()
        .flat_map(|region| &region.free)
        .map(|hole| hole.size)
        .sum();
    let left_over = bytes(taken.iter().map(|taken| taken.left_over).sum());
    Some(Cost::of(
        policy,
        left_over,
        free.minus(bytes(taken.iter().map(whole).sum())),
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// One after the other, they go to the same bytes, also where one of them is refused.
    #[test]
    fn claims_go_where_the_model_says(node in nodes(), requests in prop::collection::vec(requests(), 1..4)) {
        let (mut after, mut model) = (node.clone(), Model::of(&node));
        for request in requests.concat() {
            let left_over = after.left_over(&request).ok();
            let placed = after.place(&request).ok();
            let taken = model.place(&request);
            prop_assert_eq!(left_over.map(Bytes::get), taken.map(|taken| taken.left_over));
            let expected = taken.map(|taken| (&node.regions[taken.region].id, taken.start, taken.size));
            let found = placed.as_ref().map(|placed| (&placed.region, placed.extent.start.get(), placed.extent.size.get()));
            prop_assert_eq!(found, expected);
            for (region, expected) in after.regions.iter().zip(&model.0) {
                let free: Vec<(i64, i64)> = region.free.iter().map(|hole| (hole.start.get(), hole.end().get())).collect();
                prop_assert_eq!(&free, &expected.free);
            }
        }
    }

    /// A node and a prepared node accept what fits in every order with some choice for `together`, and nothing else; the
    /// choice is the one that leaves the least over, then the first.
    #[test]
    fn pods_fit_where_the_model_says(node in nodes(), requests in requests()) {
        let model = Model::of(&node);
        let choices = model.choices(&requests);
        let fitting = choices.iter().filter(|choice| model.fits_in_every_order(&all_settled(&requests, **choice)));
        let left_over = |choice: &&NumaWish| -> i64 {
            let taken = model.place_all(&all_settled(&requests, **choice)).unwrap();
            taken.iter().map(|taken| taken.left_over).sum()
        };
        let expected = fitting.min_by_key(left_over).map(|choice| all_settled(&requests, *choice));
        prop_assert_eq!(node.fits(&requests).is_ok(), expected.is_some());
        prop_assert_eq!(node.settle(&requests).ok(), expected.clone());
        let fits = PreparedNode::from(node).fits(&mut PodRequest::new(requests)).is_ok();
        prop_assert_eq!(fits, expected.is_some());
    }

    /// Beside up to three reservations, a pod is accepted exactly if all claims fit in every order.
    #[test]
    fn reservations_count_as_claims_to_come(node in nodes(), reserved in requests(), asked in requests()) {
        let model = Model::of(&node);
        let (reserved, asked) = (all_settled(&reserved, NumaWish::Any), all_settled(&asked[..asked.len().min(2)], NumaWish::Any));
        let reservation = |request: &VolumeRequest| Reservation { claim: "ns/c".into(), request: *request, pod: None };
        let reservations: Vec<Reservation> = reserved.iter().map(reservation).collect();
        let possible = reserved.iter().filter(|request| model.clone().place(request).is_some());
        let all: Vec<VolumeRequest> = possible.chain(&asked).copied().collect();
        let prepared = PreparedNode::with_reservations(&node, &[], &reservations);
        prop_assert_eq!(prepared.fits(&mut PodRequest::new(asked)).is_ok(), model.fits_in_every_order(&all));
    }

    #[test]
    fn an_order_that_fails_does_so_in_the_model(node in nodes(), requests in requests()) {
        let requests = all_settled(&requests, NumaWish::Any);
        if let Joint::Fails(order) = node.joint(&requests) {
            let in_order: Vec<VolumeRequest> = order.iter().map(|index| requests[*index]).collect();
            prop_assert!(Model::of(&node).place_all(&in_order).is_none());
            prop_assert!(Model::of(&node).place_all(&in_order[..in_order.len() - 1]).is_some());
        }
    }

    /// Costs are those of the claims in the order given, with the best choice for `together`.
    #[test]
    fn costs_are_what_the_model_says(node in nodes(), requests in requests()) {
        let prepared = PreparedNode::from(node.clone());
        for policy in [Policy::Pack, Policy::Spread] {
            let choices = Model::of(&node).choices(&requests);
            let expected = choices.into_iter().filter_map(|choice| cost(&node, policy, &requests, choice)).min();
            prop_assert_eq!(prepared.cost(policy, &mut PodRequest::new(requests.clone())), expected);
        }
    }
}
