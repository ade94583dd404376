//! Kill −9 or power loss at any point converges.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent};
use proptest::prelude::*;

use super::model::{OLD, World};
use crate::devices::FoundMode;
use crate::volumes::Outcome;

const OTHERS: Extent = Extent::new(Bytes::mib(0), Bytes::mib(16));

/// Lives that end after so many effects: before, between or after any two of them.
fn lives() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(0_i64..60, 0..4)
}

async fn live_and_die(world: &World, lives: &[i64]) {
    for effects in lives {
        let Some(volume) = world.record.get("v") else {
            return;
        };
        // Whether it died or came through, the next life has to cope.
        let _outcome = world.live(*effects).advance(volume).await;
        assert!(world.namespaces("v").len() <= 1, "a second namespace");
    }
}

async fn story(mode: VolumeMode, making: Vec<i64>, deleted_half_made: bool, erasing: Vec<i64>) {
    let world = World::new();
    world.put_namespace("somebody", 0, 16, FoundMode::Fsdax);
    world.ask("v", 20, mode);
    live_and_die(&world, &making).await;

    if !deleted_half_made {
        let worker = world.live_for_ever();
        assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Settled);
        assert_eq!(world.status("v").phase, Some(Phase::Ready));
        let found = world.namespaces("v");
        assert_eq!(found.len(), 1);
        assert!(found[0].usable.unwrap() >= Bytes::mib(20));
        assert!(
            world.is_all(found[0].extent, 0),
            "an earlier tenant's bytes can be read"
        );
        world.fill(found[0].extent, 7);
    }

    let taken = world.namespaces("v").first().map(|found| found.extent);
    world.delete("v");
    live_and_die(&world, &erasing).await;
    if let Some(volume) = world.record.get("v") {
        assert_eq!(world.live_for_ever().advance(volume).await.unwrap(), Outcome::Released);
    }
    assert!(world.record.get("v").is_none());
    assert!(world.namespaces("v").is_empty(), "leaked");
    assert!(
        taken.is_none_or(|extent| world.is_all(extent, 0)),
        "freed before it was zero"
    );
    assert!(world.is_all(OTHERS, OLD), "somebody else's bytes were touched");
    assert_eq!(world.namespaces("somebody").len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn at_any_point_converges(
        sector in any::<bool>(), making in lives(), deleted_half_made in any::<bool>(), erasing in lives()
    ) {
        let mode = if sector { VolumeMode::Sector } else { VolumeMode::Fsdax };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(story(mode, making, deleted_half_made, erasing));
    }
}
