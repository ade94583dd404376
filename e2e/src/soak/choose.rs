//! Which operation comes next.

use std::iter;

use fastrand::Rng;
use placement::{Bytes, NumaNode, NumaWish};

use super::content::Piece;
use super::foreign::Foreign;
use super::kind::Kind;
use super::operation::Operation;
use super::volume::{State, Volume};
use super::world::World;

/// Volumes at a time.
const VOLUMES: usize = 5;
/// Ids of volumes. There are few, so that they come again.
const NAMES: u8 = 8;
/// Namespaces of somebody else at a time.
const FOREIGN: usize = 2;
/// Bytes of a piece, at most.
const PIECE: Bytes = Bytes::mib(6);

/// An operation that is possible now.
pub(super) fn choose(world: &World, rng: &mut Rng) -> Operation {
    let mut possible: Vec<(u32, Operation)> = Vec::new();
    possible.extend(make(world, rng).map(|operation| (9, operation)));
    for volume in world.volumes.values() {
        possible.extend(of_volume(volume, world, rng));
    }
    possible.push((2, Operation::Sweep));
    if world.foreign.len() < FOREIGN {
        possible.push((1, Operation::MakeForeign(Foreign::draw(world.foreigners + 1, rng))));
    }
    possible.extend(
        world
            .foreign
            .keys()
            .map(|name| (1, Operation::DestroyForeign(name.clone()))),
    );
    draw(possible, rng)
}

/// One of them; the larger its weight, the more often.
fn draw(mut possible: Vec<(u32, Operation)>, rng: &mut Rng) -> Operation {
    let tickets: u32 = possible.iter().map(|(weight, _)| weight).sum();
    let mut ticket = rng.u32(..tickets);
    let mut chosen = 0;
    while let Some((weight, _)) = possible.get(chosen).filter(|(weight, _)| *weight <= ticket) {
        ticket -= weight;
        chosen += 1;
    }
    possible.swap_remove(chosen).1
}

/// A volume for which there is space.
fn make(world: &World, rng: &mut Rng) -> Option<Operation> {
    let kind = Kind::draw(rng);
    let volume = Volume {
        name: free_name(world, rng)?,
        kind,
        required: kind.draw_size(rng),
        numa: draw_numa(rng),
        place: None,
        state: State::HandedOut,
        pieces: Vec::new(),
    };
    let fits = world.free.clone().place(&volume.request()).is_ok();
    (fits && world.volumes.len() < VOLUMES).then_some(Operation::Make(volume))
}

fn free_name(world: &World, rng: &mut Rng) -> Option<String> {
    let first = rng.u8(..NAMES);
    let mut names = (0..NAMES).map(|n| format!("vol-{}", (first + n) % NAMES));
    names.find(|name| !world.volumes.contains_key(name))
}

fn draw_numa(rng: &mut Rng) -> NumaWish {
    match rng.u32(..4) {
        numa @ 0..2 => NumaWish::Node(NumaNode(numa)),
        _ => NumaWish::Any,
    }
}

fn of_volume(volume: &Volume, world: &World, rng: &mut Rng) -> Vec<(u32, Operation)> {
    let name = || volume.name.clone();
    let erase = (3, Operation::Erase(name()));
    match volume.state {
        State::HandedOut => vec![(6, Operation::Stage(name())), (1, Operation::Erase(name()))],
        State::Idle => vec![(6, Operation::Stage(name())), erase],
        State::Staged => {
            let size = draw_piece(volume, rng);
            let number = world.pieces + 1;
            let write = size.map(|size| (2, Operation::Write(name(), Piece { number, size })));
            let others = [(4, Operation::Unstage(name())), (1, Operation::Compare(name())), erase];
            write.into_iter().chain(others).collect()
        }
    }
}

/// How much is written next, if there is room.
fn draw_piece(volume: &Volume, rng: &mut Rng) -> Option<Bytes> {
    let most = volume.room().min(PIECE).get_u64();
    let drawn = iter::once(rng.u64(1..=most.max(1))).find(|_| most > 0);
    drawn.and_then(|bytes| Bytes::try_from(bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    use placement::{Extent, Node, Region, RegionId};

    fn world() -> World {
        let region = Region {
            id: RegionId("r".to_owned()),
            numa: Some(NumaNode(0)),
            alignment: Bytes::mib(2).try_into().unwrap(),
            free: vec![Extent::new(Bytes::ZERO, Bytes::mib(512))],
        };
        World {
            free: Node {
                regions: vec![region],
                ..Node::default()
            },
            ..World::default()
        }
    }

    #[test]
    fn the_same_seed_chooses_the_same_operations() {
        let chosen = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..20)
                .map(|_| choose(&world(), &mut rng).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }

    #[test]
    fn what_does_not_fit_is_not_made() {
        let mut full = world();
        full.free = Node::default();
        let mut rng = Rng::with_seed(3);
        for _ in 0..100 {
            let chosen = choose(&full, &mut rng);
            assert!(
                matches!(chosen, Operation::MakeForeign(_) | Operation::Sweep),
                "{chosen}"
            );
        }
    }

    #[test]
    fn an_operation_without_weight_is_never_drawn() {
        let mut rng = Rng::with_seed(4);
        for _ in 0..100 {
            let possible = vec![(0, "a"), (3, "b"), (0, "c"), (1, "d")];
            let possible = possible
                .into_iter()
                .map(|(weight, name)| (weight, Operation::Stage(name.to_owned())));
            let drawn = draw(possible.collect(), &mut rng).to_string();
            assert!(["stage b", "stage d"].contains(&&*drawn), "{drawn}");
        }
    }
}
