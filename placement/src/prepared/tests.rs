use super::*;
use crate::{Alignment, Extent, NumaNode, RegionId};
use proptest::prelude::*;

fn regions() -> impl Strategy<Value = Node> {
    let alignment = prop::sample::select(vec![4_u32, 12, 2048, 16384, 6 * 16384]);
    let hole = (0_u32..40, 1_u32..120);
    let region = (
        prop::option::of(0_u32..3),
        alignment,
        prop::collection::vec(hole, 0..5),
        0_u32..3,
    );
    prop::collection::vec(region, 0..4).prop_map(|regions| Node {
        regions: regions.into_iter().enumerate().map(region_of).collect(),
    })
}

type Raw = (Option<u32>, u32, Vec<(u32, u32)>, u32);

fn region_of((index, (numa, alignment, holes, odd)): (usize, Raw)) -> Region {
    let mut cursor = Bytes::kib(4 * odd);
    let mut free = Vec::new();
    for (gap, size) in holes {
        let start = cursor.plus(Bytes::mib(gap)).plus(Bytes::kib(4));
        free.push(Extent::new(start, Bytes::mib(size)));
        cursor = start.plus(Bytes::mib(size));
    }
    Region {
        id: RegionId(format!("r{index}")),
        numa: numa.map(NumaNode),
        alignment: Alignment::try_from(Bytes::kib(alignment)).unwrap(),
        free,
    }
}

fn requests() -> impl Strategy<Value = Vec<VolumeRequest>> {
    let mode = prop::sample::select(vec![
        Mode::Fsdax(MapLocation::Dev),
        Mode::Fsdax(MapLocation::Mem),
        Mode::Sector,
    ]);
    let numa = prop_oneof![
        4 => Just(NumaWish::Any),
        2 => (0_u32..3).prop_map(|numa| NumaWish::Node(NumaNode(numa))),
        1 => Just(NumaWish::Together),
    ];
    let limit = prop::option::weighted(0.2, 0_u32..8);
    let request = (1_u32..100, limit, mode, numa).prop_map(|(mib, more, mode, numa)| VolumeRequest {
        required: Bytes::mib(mib),
        limit: more.map(|more| Bytes::mib(mib + more)),
        mode,
        numa,
    });
    prop::collection::vec(request, 1..4)
}

proptest! {
    #[test]
    fn answers_as_the_node_does(node in regions(), requests in requests()) {
        let prepared = PreparedNode::from(node.clone());
        let mut pod_request = PodRequest::new(requests.clone());
        let expected = node.fits(&requests).map_err(|refusal| refusal.to_string());
        prop_assert_eq!(prepared.fits(&mut pod_request).map_err(|reason| reason.to_string()), expected);
        let each = requests.iter().all(|request| node.fits(&[*request]).is_ok());
        prop_assert_eq!(prepared.fits_each(&mut pod_request), each);
    }

    /// A reservation is as good as a volume, whichever comes first, and no byte is lost or counted twice.
    #[test]
    fn reserved_claims_are_safe_in_every_order(node in regions(), reserved in requests(), requests in requests()) {
        let settled = |request: &VolumeRequest| request.settled(NumaWish::Any);
        let (reserved, requests): (Vec<_>, Vec<_>) = (reserved.iter().map(settled).collect(), requests.iter().map(settled).collect());
        let name = |(index, request): (usize, &VolumeRequest)| Reservation { claim: format!("ns/{index}"), request: *request };
        let reservations: Vec<Reservation> = reserved.iter().enumerate().map(name).collect();
        let prepared = PreparedNode::with_promised(&node, &[], &reservations);

        let free = |node: &Node| node.regions.iter().flat_map(|region| &region.free).map(|hole| hole.size).sum::<Bytes>();
        let taken: Bytes = prepared.reserved().iter().map(|reserved| reserved.bytes).sum();
        prop_assert_eq!(free(&node), free(prepared.node()).plus(taken));

        let mut pod_request = PodRequest::new(requests.clone());
        let possible = reserved.iter().filter(|request| node.fits(&[**request]).is_ok());
        let all: Vec<VolumeRequest> = requests.iter().chain(possible).copied().collect();
        let fits = prepared.fits(&mut pod_request).is_ok();
        prop_assert!(!fits || node.joint(&all) == Joint::Fits);
        prop_assert!(fits || all.len() > 5 || node.joint(&all) != Joint::Fits);
        if fits {
            prop_assert!(prepared.cost(Policy::Pack, &mut pod_request).is_some());
        }
    }

    #[test]
    fn the_explanation_says_the_same(node in regions(), reserved in requests(), requests in requests()) {
        let of = |request: &VolumeRequest| Reservation { claim: "ns/c".into(), request: *request };
        let reserved: Vec<Reservation> = reserved.iter().map(of).collect();
        let prepared = PreparedNode::with_promised(&node, &[], &reserved);
        let mut pod_request = PodRequest::new(requests);
        let reason = prepared.fits(&mut pod_request).err().map(|reason| reason.to_string());
        prop_assert_eq!(prepared.explain(&mut pod_request).map(|explanation| explanation.to_string()), reason);
    }

    #[test]
    fn left_over_as_the_node_says(node in regions(), requests in requests()) {
        let prepared = PreparedNode::from(node.clone());
        let cost = prepared.cost(Policy::Pack, &mut PodRequest::new(requests[..1].to_vec()));
        prop_assert_eq!(cost.map(Cost::left_over), node.left_over(&requests[0]).ok());
    }

    #[test]
    fn what_fits_has_a_cost(node in regions(), requests in requests()) {
        let prepared = PreparedNode::from(node);
        let mut pod_request = PodRequest::new(requests);
        if prepared.fits(&mut pod_request).is_ok() {
            prop_assert!(prepared.cost(Policy::Pack, &mut pod_request).is_some());
            prop_assert!(prepared.cost(Policy::Spread, &mut pod_request).is_some());
        }
    }
}

#[test]
fn pack_prefers_the_tight_node_and_spread_the_empty_one() {
    let node = |size: u32| {
        let holes = vec![(0, size)];
        PreparedNode::from(Node {
            regions: vec![region_of((0, (None, 4, holes, 0)))],
        })
    };
    let (tight, empty) = (node(40), node(120));
    let mut pod_request = PodRequest::new(vec![VolumeRequest {
        required: Bytes::mib(30),
        limit: None,
        mode: Mode::Sector,
        numa: NumaWish::Any,
    }]);
    assert!(tight.cost(Policy::Pack, &mut pod_request) < empty.cost(Policy::Pack, &mut pod_request));
    assert!(tight.cost(Policy::Spread, &mut pod_request) > empty.cost(Policy::Spread, &mut pod_request));
}

#[test]
fn a_reason_names_what_is_reserved() {
    let node = Node {
        regions: vec![region_of((0, (Some(1), 4, vec![(0, 100), (10, 40)], 0)))],
    };
    let request = |mib: u32| VolumeRequest {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    };
    let reservation = Reservation {
        claim: "ns/other".into(),
        request: request(30),
    };
    let prepared = PreparedNode::with_promised(&node, &[], &[reservation]);
    let text = |requests: &[VolumeRequest]| {
        prepared
            .fits(&mut PodRequest::new(requests.to_vec()))
            .map_err(|reason| reason.to_string())
    };
    let space = "largest extent 66 MiB on NUMA 1, 108 MiB free in 2 extents, 32 MiB reserved for ns/other";
    assert_eq!(text(&[request(96)]), Err(format!("asked 96 MiB; {space}")));
    assert_eq!(
        text(&[request(60), request(28)]),
        Err(format!("asked 60 MiB + 28 MiB; {space}"))
    );
    assert_eq!(text(&[request(28)]), Ok(()));
}

#[test]
fn pack_keeps_regions_with_few_volumes_whole() {
    let node = |size: u32, volumes: usize| {
        let occupancy = Occupancy {
            region: RegionId("r0".into()),
            size: Bytes::gib(1),
            volumes,
        };
        let node = Node {
            regions: vec![region_of((0, (None, 4, vec![(0, size)], 0)))],
        };
        PreparedNode::from(node).with_occupancy(&[occupancy])
    };
    let mut pod_request = PodRequest::new(vec![VolumeRequest {
        required: Bytes::mib(30),
        limit: None,
        mode: Mode::Sector,
        numa: NumaWish::Any,
    }]);
    let mut cost = |size, volumes| node(size, volumes).cost(Policy::Pack, &mut pod_request);
    // 1/32 of the region is worth more than what a tighter hole saves, but not more than any.
    assert!(cost(50, 20) < cost(40, 1));
    assert!(cost(40, 1) < cost(90, 20));
    assert!(cost(40, 20) < cost(50, 20));
}
