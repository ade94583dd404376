//! Random nodes and requests.

use placement::{
    Alignment, Bytes, Extent, MapLocation, Mode, Node, NumaNode, NumaWish, Region, RegionId, VolumeRequest,
};
use proptest::prelude::*;

/// Up to three regions: any NUMA node or none, odd alignments, holes that start anywhere.
pub fn nodes() -> impl Strategy<Value = Node> {
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
        ..Node::default()
    })
}

/// NUMA node, alignment in KiB, holes as the gap in front and the size in MiB, and an odd start in 4 KiB.
pub type Raw = (Option<u32>, u32, Vec<(u32, u32)>, u32);

pub fn region_of((index, (numa, alignment, holes, odd)): (usize, Raw)) -> Region {
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

/// One to three requests of all kinds.
pub fn requests() -> impl Strategy<Value = Vec<VolumeRequest>> {
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

/// The request with `together` replaced by `choice`.
pub fn settled(request: &VolumeRequest, choice: NumaWish) -> VolumeRequest {
    let numa = if request.numa == NumaWish::Together {
        choice
    } else {
        request.numa
    };
    VolumeRequest { numa, ..*request }
}
