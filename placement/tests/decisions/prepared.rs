//! Prepared nodes say what nodes say.

use placement::{
    Bytes, Cost, Joint, MapLocation, Mode, Node, NumaWish, Occupancy, PodRequest, Policy, PreparedNode, RegionId,
    Reservation, VolumeRequest,
};
use proptest::prelude::*;

use crate::nodes::{nodes, region_of, requests, settled};

proptest! {
    #[test]
    fn answers_as_the_node_does(node in nodes(), requests in requests()) {
        let prepared = PreparedNode::from(node.clone());
        let mut pod_request = PodRequest::new(requests.clone());
        let expected = node.fits(&requests).map_err(|refusal| refusal.to_string());
        prop_assert_eq!(prepared.fits(&mut pod_request).map_err(|reason| reason.to_string()), expected);
        let each = requests.iter().all(|request| node.fits(&[*request]).is_ok());
        prop_assert_eq!(prepared.fits_each(&mut pod_request), each);
    }

    /// A reservation is as good as a volume, whichever comes first, and no byte is lost or counted twice.
    #[test]
    fn reserved_claims_are_safe_in_every_order(node in nodes(), reserved in requests(), requests in requests()) {
        let any = |request: &VolumeRequest| settled(request, NumaWish::Any);
        let (reserved, requests): (Vec<_>, Vec<_>) = (reserved.iter().map(any).collect(), requests.iter().map(any).collect());
        let name = |(index, request): (usize, &VolumeRequest)| Reservation { claim: format!("ns/{index}"), request: *request, pod: None };
        let reservations: Vec<Reservation> = reserved.iter().enumerate().map(name).collect();
        let prepared = PreparedNode::with_reservations(&node, &[], &reservations);

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
    fn the_explanation_says_the_same(node in nodes(), reserved in requests(), requests in requests()) {
        let of = |request: &VolumeRequest| Reservation { claim: "ns/c".into(), request: *request, pod: None };
        let reserved: Vec<Reservation> = reserved.iter().map(of).collect();
        let prepared = PreparedNode::with_reservations(&node, &[], &reserved);
        let mut pod_request = PodRequest::new(requests);
        let reason = prepared.fits(&mut pod_request).err().map(|reason| reason.to_string());
        prop_assert_eq!(prepared.explain(&mut pod_request).map(|explanation| explanation.to_string()), reason);
    }

    #[test]
    fn left_over_as_the_node_says(node in nodes(), requests in requests()) {
        let prepared = PreparedNode::from(node.clone());
        let cost = prepared.cost(Policy::Pack, &mut PodRequest::new(requests[..1].to_vec()));
        let mut after = node.clone();
        let expected = node.left_over(&requests[0]).ok().map(|left_over| {
            after.place(&requests[0]).unwrap();
            let unit = |region: &placement::Region| region.alignment.get();
            let changed = node.regions.iter().zip(&after.regions).find(|(before, after)| before != after);
            let (before, after) = changed.unwrap();
            let sum = |region: &placement::Region| region.free.iter().map(|hole| hole.size).sum::<Bytes>();
            let taken = sum(before).minus(sum(after)).round_up(unit(before));
            Cost::of(Policy::Pack, left_over, prepared.free().minus(taken))
        });
        prop_assert_eq!(cost, expected);
    }

    #[test]
    fn what_fits_has_a_cost(node in nodes(), requests in requests()) {
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
            ..Node::default()
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
        ..Node::default()
    };
    let request = |mib: u32| VolumeRequest {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    };
    let reservation = Reservation {
        pod: None,
        claim: "ns/other".into(),
        request: request(30),
    };
    let prepared = PreparedNode::with_reservations(&node, &[], &[reservation]);
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
            ..Node::default()
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
