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

fn wants() -> impl Strategy<Value = Vec<Want>> {
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
    let want = (1_u32..100, limit, mode, numa).prop_map(|(mib, more, mode, numa)| Want {
        required: Bytes::mib(mib),
        limit: more.map(|more| Bytes::mib(mib + more)),
        mode,
        numa,
    });
    prop::collection::vec(want, 1..4)
}

proptest! {
    #[test]
    fn answers_as_the_node_does(node in regions(), wants in wants()) {
        let prepared = Prepared::from(node.clone());
        let mut ask = Ask::new(wants.clone());
        let expected = node.fits(&wants).map_err(|refusal| refusal.to_string());
        prop_assert_eq!(prepared.fits(&mut ask).map_err(|reason| reason.to_string()), expected);
        let each = wants.iter().all(|want| node.fits(&[*want]).is_ok());
        prop_assert_eq!(prepared.fits_each(&mut ask), each);
    }

    /// A reservation is as good as a volume, whichever comes first, and no byte is lost or counted twice.
    #[test]
    fn reserved_claims_are_safe_in_every_order(node in regions(), reserved in wants(), wants in wants()) {
        let settled = |want: &Want| want.settled(NumaWish::Any);
        let (reserved, wants): (Vec<_>, Vec<_>) = (reserved.iter().map(settled).collect(), wants.iter().map(settled).collect());
        let name = |(index, want): (usize, &Want)| Reservation { claim: format!("ns/{index}"), want: *want };
        let reservations: Vec<Reservation> = reserved.iter().enumerate().map(name).collect();
        let prepared = Prepared::with_promised(&node, &[], &reservations);

        let free = |node: &Node| node.regions.iter().flat_map(|region| &region.free).map(|hole| hole.size).sum::<Bytes>();
        let taken: Bytes = prepared.reserved().iter().map(|reserved| reserved.bytes).sum();
        prop_assert_eq!(free(&node), free(prepared.node()).plus(taken));

        let mut ask = Ask::new(wants.clone());
        let possible = reserved.iter().filter(|want| node.fits(&[**want]).is_ok());
        let all: Vec<Want> = wants.iter().chain(possible).copied().collect();
        let fits = prepared.fits(&mut ask).is_ok();
        prop_assert!(!fits || node.joint(&all) == Joint::Fits);
        prop_assert!(fits || all.len() > 5 || node.joint(&all) != Joint::Fits);
        if fits {
            prop_assert!(prepared.cost(Policy::Pack, &mut ask).is_some());
        }
    }

    #[test]
    fn the_explanation_says_the_same(node in regions(), reserved in wants(), wants in wants()) {
        let of = |want: &Want| Reservation { claim: "ns/c".into(), want: *want };
        let reserved: Vec<Reservation> = reserved.iter().map(of).collect();
        let prepared = Prepared::with_promised(&node, &[], &reserved);
        let mut ask = Ask::new(wants);
        let reason = prepared.fits(&mut ask).err().map(|reason| reason.to_string());
        prop_assert_eq!(prepared.explain(&mut ask).map(|explanation| explanation.to_string()), reason);
    }

    #[test]
    fn left_over_as_the_node_says(node in regions(), wants in wants()) {
        let prepared = Prepared::from(node.clone());
        let cost = prepared.cost(Policy::Pack, &mut Ask::new(wants[..1].to_vec()));
        prop_assert_eq!(cost.map(Cost::left_over), node.left_over(&wants[0]).ok());
    }

    #[test]
    fn what_fits_has_a_cost(node in regions(), wants in wants()) {
        let prepared = Prepared::from(node);
        let mut ask = Ask::new(wants);
        if prepared.fits(&mut ask).is_ok() {
            prop_assert!(prepared.cost(Policy::Pack, &mut ask).is_some());
            prop_assert!(prepared.cost(Policy::Spread, &mut ask).is_some());
        }
    }
}

#[test]
fn pack_prefers_the_tight_node_and_spread_the_empty_one() {
    let node = |size: u32| {
        let holes = vec![(0, size)];
        Prepared::from(Node {
            regions: vec![region_of((0, (None, 4, holes, 0)))],
        })
    };
    let (tight, empty) = (node(40), node(120));
    let mut ask = Ask::new(vec![Want {
        required: Bytes::mib(30),
        limit: None,
        mode: Mode::Sector,
        numa: NumaWish::Any,
    }]);
    assert!(tight.cost(Policy::Pack, &mut ask) < empty.cost(Policy::Pack, &mut ask));
    assert!(tight.cost(Policy::Spread, &mut ask) > empty.cost(Policy::Spread, &mut ask));
}

#[test]
fn a_reason_names_what_is_reserved() {
    let node = Node {
        regions: vec![region_of((0, (Some(1), 4, vec![(0, 100), (10, 40)], 0)))],
    };
    let want = |mib: u32| Want {
        required: Bytes::mib(mib),
        limit: None,
        mode: Mode::Fsdax(MapLocation::Dev),
        numa: NumaWish::Any,
    };
    let reservation = Reservation {
        claim: "ns/other".into(),
        want: want(30),
    };
    let prepared = Prepared::with_promised(&node, &[], &[reservation]);
    let text = |wants: &[Want]| {
        prepared
            .fits(&mut Ask::new(wants.to_vec()))
            .map_err(|reason| reason.to_string())
    };
    let space = "largest extent 66 MiB on NUMA 1, 108 MiB free in 2 extents, 32 MiB reserved for ns/other";
    assert_eq!(text(&[want(96)]), Err(format!("asked 96 MiB; {space}")));
    assert_eq!(
        text(&[want(60), want(28)]),
        Err(format!("asked 60 MiB + 28 MiB; {space}"))
    );
    assert_eq!(text(&[want(28)]), Ok(()));
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
        Prepared::from(node).with_occupancy(&[occupancy])
    };
    let mut ask = Ask::new(vec![Want {
        required: Bytes::mib(30),
        limit: None,
        mode: Mode::Sector,
        numa: NumaWish::Any,
    }]);
    let mut cost = |size, volumes| node(size, volumes).cost(Policy::Pack, &mut ask);
    // 1/32 of the region is worth more than what a tighter hole saves, but not more than any.
    assert!(cost(50, 20) < cost(40, 1));
    assert!(cost(40, 1) < cost(90, 20));
    assert!(cost(40, 20) < cost(50, 20));
}
