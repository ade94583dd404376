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
    let numa = prop::option::weighted(0.3, 0_u32..3)
        .prop_map(|numa| numa.map_or(NumaWish::Any, |n| NumaWish::Node(NumaNode(n))));
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
