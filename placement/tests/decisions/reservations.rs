//! What fits beside space that is reserved or pending.

use placement::{
    Alignment, Bytes, Extent, MapLocation, Mode, Node, NumaNode, NumaWish, PendingVolume, PodRequest, PreparedNode,
    Region, RegionId, Reservation, VolumeRequest,
};
use proptest::prelude::*;

use crate::nodes::settled;

fn node(regions: &[Vec<(u32, u32)>]) -> Node {
    let extent = |(at, size): &(u32, u32)| Extent::new(Bytes::mib(*at), Bytes::mib(*size));
    let region = |(i, free): (usize, &Vec<(u32, u32)>)| Region {
        id: RegionId(format!("r{i}")),
        numa: Some(NumaNode(u32::try_from(i).unwrap())),
        alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
        free: free.iter().map(extent).collect(),
    };
    Node {
        regions: regions.iter().enumerate().map(region).collect(),
        ..Node::default()
    }
}

/// With the map in memory, the footprint is 2 MiB more.
fn request(mib: u32) -> VolumeRequest {
    VolumeRequest {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Mem),
        numa: NumaWish::Any,
    }
}

fn reservation(request: &VolumeRequest) -> Reservation {
    Reservation {
        pod: Some("pod".into()),
        claim: "ns/c".into(),
        request: *request,
    }
}

/// Whether `asked` fits on `node` beside `reserved`.
fn fits(node: &Node, reserved: &[VolumeRequest], asked: &[VolumeRequest]) -> bool {
    let reservations: Vec<Reservation> = reserved.iter().map(reservation).collect();
    let prepared = PreparedNode::with_reservations(node, &[], &reservations);
    prepared.fits(&mut PodRequest::new(asked.to_vec())).is_ok()
}

#[test]
fn what_is_reserved_is_not_given_again() {
    let node = node(&[vec![(0, 64)]]);
    assert!(fits(&node, &[request(30)], &[request(30)]));
    assert!(!fits(&node, &[request(30)], &[request(31)]));
    assert!(!fits(&node, &[request(30)], &[request(14), request(18)]));
}

#[test]
fn orders_count_between_pods_as_within_one() {
    // If 30 comes first it takes the lower hole, and 62 has none left.
    let node = node(&[vec![(0, 64), (128, 32)]]);
    assert!(!fits(&node, &[request(62)], &[request(30)]));
    assert!(!fits(&node, &[request(30)], &[request(62)]));
}

#[test]
fn nothing_is_reserved_for_what_cannot_be_placed() {
    let node = node(&[vec![(0, 64)]]);
    let prepared = PreparedNode::with_reservations(&node, &[], &[reservation(&request(500))]);
    assert!(prepared.reserved().is_empty());
    assert!(fits(&node, &[request(500)], &[request(62)]));
}

#[test]
fn claims_for_other_numa_nodes_do_not_matter() {
    let node = node(&[vec![(0, 64)], vec![(0, 64)]]);
    let on = |numa, mib| VolumeRequest {
        numa: NumaWish::Node(NumaNode(numa)),
        ..request(mib)
    };
    assert!(fits(&node, &[on(0, 60)], &[on(1, 60)]));
    assert!(!fits(&node, &[on(0, 60)], &[on(0, 60)]));
}

#[test]
fn a_volume_goes_to_the_region_that_its_node_chose() {
    let node = node(&[vec![(0, 64)], vec![(0, 64)]]);
    let pending = |region: &str| PendingVolume {
        request: request(60),
        region: Some(RegionId(region.into())),
    };
    let asked = VolumeRequest {
        numa: NumaWish::Node(NumaNode(1)),
        ..request(60)
    };
    let fits = |region| {
        PreparedNode::with_reservations(&node, &[pending(region)], &[]).fits(&mut PodRequest::new(vec![asked]))
    };
    assert!(fits("r0").is_ok());
    assert!(fits("r1").is_err());
}

/// Its node may choose another region, so it counts like one for which none was chosen, in the free space and in the orders.
#[test]
fn a_volume_whose_region_is_not_ready_takes_space_of_others() {
    let node = node(&[vec![(0, 64), (128, 32)]]);
    for region in [None, Some(RegionId("gone".into()))] {
        let request = request(62);
        let prepared = PreparedNode::with_reservations(&node, &[PendingVolume { request, region }], &[]);
        assert_eq!(prepared.free(), Bytes::mib(32));
        // Created first, the claim takes the hole that the volume needs.
        assert!(prepared.fits(&mut PodRequest::new(vec![self::request(30)])).is_err());
    }
}

#[test]
fn a_volume_stays_in_the_region_that_its_node_chose_as_long_as_it_can() {
    // It would fit best in r1, and not at all in r2.
    let node = node(&[vec![(0, 128)], vec![(0, 62)], vec![(0, 32)]]);
    let made = |region: &str, numa| {
        let request = VolumeRequest { numa, ..request(60) };
        let region = Some(RegionId(region.into()));
        node.clone().make(&PendingVolume { request, region }).unwrap().region.0
    };
    let (any, one) = (NumaWish::Any, NumaWish::Node(NumaNode(1)));
    for (chosen, numa, expected) in [
        ("r0", any, "r0"),
        ("r1", any, "r1"),
        ("r2", any, "r1"),
        ("gone", any, "r1"),
        ("r0", one, "r1"),
    ] {
        assert_eq!(made(chosen, numa), expected, "{chosen} {numa:?}");
    }
}

#[test]
fn claims_that_want_to_be_together_are_counted_on_each_numa_node() {
    let node = node(&[vec![(0, 128)], vec![(0, 128)]]);
    let together = |mib| VolumeRequest {
        numa: NumaWish::Together,
        ..request(mib)
    };
    assert!(fits(&node, &[together(30), together(30)], &[request(60)]));
    assert!(!fits(&node, &[together(60), together(50)], &[request(60)]));
    assert!(fits(&node, &[request(60)], &[together(30), together(30)]));
    // They would fit on the NUMA node that the reserved claim does not take, but nobody knows which that is.
    assert!(!fits(&node, &[request(60)], &[together(60), together(60)]));
}

#[test]
fn claims_that_want_to_be_together_are_not_counted_where_they_cannot_be() {
    let together = |mib| VolumeRequest {
        numa: NumaWish::Together,
        ..request(mib)
    };
    let node = |second: Vec<(u32, u32)>| self::node(&[vec![(0, 256)], second]);
    // Too small for one, too small for both, and none at all.
    for second in [vec![(0, 40)], vec![(0, 64)], vec![]] {
        assert!(fits(&node(second), &[request(60)], &[together(60), together(60)]));
    }
    assert!(!fits(
        &node(vec![(0, 64), (100, 64)]),
        &[request(60)],
        &[together(60), together(60)]
    ));
    let nowhere = self::node(&[vec![(0, 64)], vec![(0, 64)]]);
    assert!(!fits(&nowhere, &[request(2)], &[together(50), together(50)]));
}

#[test]
fn many_claims_are_counted_and_not_tried() {
    let node = node(&[vec![(0, 512)], vec![(0, 512)]]);
    let many: Vec<VolumeRequest> = (0..40).map(|i| request(10 + i % 7)).collect();
    assert!(fits(&node, &many, &[request(100), request(40)]));
}

proptest! {
    /// Whatever it says yes to can be created in any order, with anything else that it said yes to.
    #[test]
    fn never_accepts_what_may_fail(
        holes in prop::collection::vec(prop::collection::vec((0_u32..16, 1_u32..60), 0..4), 1..3),
        asked in prop::collection::vec((1_u32..60, prop::option::weighted(0.3, 0_u32..3)), 1..9),
        order in any::<prop::sample::Index>(),
        shuffle in prop::collection::vec(any::<u32>(), 9),
    ) {
        let regions: Vec<Vec<(u32, u32)>> = holes.iter().map(|holes| apart(holes)).collect();
        let node = node(&regions);
        let mut accepted: Vec<VolumeRequest> = Vec::new();
        for (mib, numa) in asked {
            let numa = match numa {
                None => NumaWish::Any,
                Some(2) => NumaWish::Together,
                Some(numa) => NumaWish::Node(NumaNode(numa)),
            };
            let pod_request = VolumeRequest { numa, ..request(mib) };
            let alone = node.fits(&[pod_request]).is_ok();
            if alone && fits(&node, &accepted, &[pod_request]) {
                accepted.push(pod_request);
            }
        }
        let mut keyed: Vec<(u32, VolumeRequest)> = shuffle.into_iter().zip(accepted).collect();
        keyed.sort_unstable();
        if !keyed.is_empty() {
            let turn = order.index(keyed.len());
            keyed.rotate_left(turn);
        }
        let mut after = node.clone();
        for (random, request) in keyed {
            // Whatever `together` comes to, if it is possible at all.
            let there = settled(&request, NumaWish::Node(NumaNode(random % 2)));
            let request = if node.fits(&[there]).is_ok() { there } else { request };
            prop_assert!(after.place(&request).is_ok(), "{request:?} in {after:?}");
        }
    }
}

fn apart(holes: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut cursor = 0;
    let place = |(gap, size): &(u32, u32)| {
        let start = cursor + gap + 1;
        cursor = start + size;
        (start, *size)
    };
    holes.iter().map(place).collect()
}
