//! Whether several claims fit in every order of creation.

use std::collections::HashSet;

use placement::{
    Alignment, Bytes, Extent, Joint, MapLocation, Mode, Node, NumaNode, NumaWish, Region, RegionId, VolumeRequest,
};
use proptest::prelude::*;

use crate::nodes::settled;

/// Every order of creation, with real extents: what the search has to agree with.
fn reference(node: &Node, requests: &[VolumeRequest]) -> bool {
    (0..requests.len()).all(|first| {
        let mut after = node.clone();
        let mut rest = requests.to_vec();
        after.place(&rest.remove(first)).is_ok() && reference(&after, &rest)
    })
}

/// Whether the last of `order` finds no space, and all before it do.
fn fails_as_told(node: &Node, requests: &[VolumeRequest], order: &[usize]) -> bool {
    let mut node = node.clone();
    let mut created = order.iter().map(|claim| node.place(&requests[*claim]).is_ok());
    let fits: Vec<bool> = created.by_ref().collect();
    fits.split_last()
        .is_some_and(|(last, before)| !last && before.iter().all(|fits| *fits))
}

fn distinct(order: &[usize]) -> bool {
    let set: HashSet<&usize> = order.iter().collect();
    set.len() == order.len()
}

/// Regions with holes of whole MiB, each behind a used gap; the alignment is in KiB.
fn node_of(regions: &[(Option<u32>, u32, Vec<u32>)]) -> Node {
    let region = |(index, (numa, alignment, holes)): (usize, &(Option<u32>, u32, Vec<u32>))| {
        let mut cursor = Bytes::kib(4);
        let free = holes.iter().map(|mib| {
            let hole = Extent::new(cursor, Bytes::mib(*mib));
            cursor = hole.end().plus(Bytes::mib(1));
            hole
        });
        Region {
            id: RegionId(format!("r{index}")),
            numa: numa.map(NumaNode),
            alignment: Alignment::try_from(Bytes::kib(*alignment)).unwrap(),
            free: free.collect(),
        }
    };
    Node {
        regions: regions.iter().enumerate().map(region).collect(),
        ..Node::default()
    }
}

fn request(mib: u32) -> VolumeRequest {
    VolumeRequest {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    }
}

/// The claims take 40 and 30 MiB, as in the example at the head of `src/order/mod.rs`.
#[test]
fn more_space_can_hurt() {
    let node = |holes: [Vec<u32>; 2]| node_of(&holes.map(|holes| (None, 4, holes)));
    let requests = [request(38), request(28), request(28)];
    assert_eq!(node([vec![40], vec![30, 30]]).joint(&requests), Joint::Fits);
    let grown = node([vec![40], vec![40, 30]]);
    let Joint::Fails(order) = grown.joint(&requests) else {
        panic!("both small claims go into the large holes first");
    };
    assert_eq!(order.last(), Some(&0));
    assert!(fails_as_told(&grown, &requests, &order));
}

fn nodes() -> impl Strategy<Value = Node> {
    let alignment = prop::sample::select(vec![4_u32, 12, 2048, 16384]);
    let numa = prop::option::weighted(0.9, 0_u32..3);
    let region = (numa, alignment, prop::collection::vec(16_u32..140, 0..4));
    prop::collection::vec(region, 1..4).prop_map(|regions| node_of(&regions))
}

fn wishes() -> impl Strategy<Value = NumaWish> {
    prop_oneof![
        3 => Just(NumaWish::Any),
        1 => (0_u32..3).prop_map(|numa| NumaWish::Node(NumaNode(numa))),
        1 => Just(NumaWish::Together),
    ]
}

fn requests(most: usize) -> impl Strategy<Value = Vec<VolumeRequest>> {
    let modes = vec![
        Mode::Fsdax(MapLocation::Dev),
        Mode::Fsdax(MapLocation::Mem),
        Mode::Sector,
    ];
    // Few sizes, so that equal ones are met as well.
    let request = (1_u32..16, prop::sample::select(modes), wishes()).prop_map(|(size, mode, numa)| VolumeRequest {
        mode,
        numa,
        ..request(size * 7)
    });
    prop::collection::vec(request, 0..=most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Joint fit means that each order fits, and what is refused has an order that fails.
    #[test]
    fn agrees_with_every_order(node in nodes(), requests in requests(5)) {
        let answer = node.joint(&requests);
        prop_assert_eq!(answer == Joint::Fits, reference(&node, &requests));
        if let Joint::Fails(order) = &answer {
            prop_assert!(distinct(order) && fails_as_told(&node, &requests, order), "{:?}", order);
        }
        prop_assert_ne!(answer, Joint::Unknown);
    }

    /// `together` is some NUMA node where all fit in every order.
    #[test]
    fn settled_requests_fit_in_every_order(node in nodes(), requests in requests(4)) {
        let choices = [0, 1, 2].map(|numa| NumaWish::Node(NumaNode(numa)));
        let together = requests.iter().filter(|request| request.numa == NumaWish::Together).count();
        let known = together > 1 && node.regions.iter().any(|region| region.numa.is_some());
        let choices = if known { &choices[..] } else { &[NumaWish::Any] };
        let with = |choice: &NumaWish| -> Vec<VolumeRequest> { requests.iter().map(|request| settled(request, *choice)).collect() };
        let possible = choices.iter().any(|choice| reference(&node, &with(choice)));
        let answer = node.settle(&requests);
        prop_assert_eq!(answer.is_ok(), possible);
        if let Ok(answer) = answer {
            prop_assert!(answer.iter().all(|request| request.numa != NumaWish::Together || !known));
            prop_assert!(choices.iter().any(|choice| with(choice) == answer));
            prop_assert!(reference(&node, &answer));
        }
    }

    /// What fits together fits in part as well, whichever part it is: any order of the part starts an order of all.
    #[test]
    fn a_part_of_what_fits_fits(node in nodes(), requests in requests(6), left_out in 0_usize..6) {
        let mut part = requests.clone();
        if left_out < part.len() {
            part.remove(left_out);
        }
        if node.joint(&requests) == Joint::Fits {
            prop_assert_eq!(node.joint(&part), Joint::Fits);
        }
    }

    /// More free space never hurts a claim that comes alone.
    #[test]
    fn one_claim_is_monotone(regions in prop::collection::vec(prop::collection::vec(16_u32..140, 1..4), 1..3), grown in 0_usize..4, more in 1_u32..64, mib in 1_u32..140) {
        let of = |regions: &[Vec<u32>]| {
            let regions: Vec<_> = regions.iter().map(|holes| (None, 4, holes.clone())).collect();
            node_of(&regions)
        };
        let before = of(&regions).joint(&[request(mib)]);
        let mut larger = regions.clone();
        let hole = grown % larger[0].len();
        larger[0][hole] += more;
        if before == Joint::Fits {
            prop_assert_eq!(of(&larger).joint(&[request(mib)]), Joint::Fits);
        }
    }

    /// No claim that was accepted fails, however many there are, and the work is bounded.
    #[test]
    fn many_claims_are_answered_on_the_safe_side(node in nodes(), requests in requests(40), order in any::<prop::sample::Index>()) {
        match node.joint(&requests) {
            Joint::Fits => {
                let mut order_of: Vec<usize> = (0..requests.len()).collect();
                order_of.rotate_left(order.index(requests.len().max(1)).min(requests.len()));
                let mut after = node;
                prop_assert!(order_of.into_iter().all(|claim| after.place(&requests[claim]).is_ok()));
            }
            Joint::Fails(order) => prop_assert!(fails_as_told(&node, &requests, &order)),
            Joint::Unknown => {}
        }
    }
}
