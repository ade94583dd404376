//! What the driver finds and must not touch, or take for more than it is.

use crds::{Phase, RegionState, VolumeMode};
use placement::{Bytes, Extent};

use super::model::{OLD, World};
use crate::devices::FoundMode;
use crate::volumes::Outcome;

fn mib(start: u32, size: u32) -> Extent {
    Extent::new(Bytes::mib(start), Bytes::mib(size))
}

#[tokio::test]
async fn a_complete_namespace_of_the_name_is_adopted_with_its_data() {
    let world = World::new();
    world.put_namespace("v", 8, 32, FoundMode::Fsdax);
    let worker = world.live_for_ever();
    worker.advance(world.ask("v", 28, VolumeMode::Fsdax)).await.unwrap();
    assert_eq!(world.status("v").phase, Some(Phase::Ready));
    assert_eq!(world.status("v").footprint, Some(mib(8, 32)));
    assert!(world.is_all(mib(8, 32), OLD));
    assert_eq!(world.namespaces("v").len(), 1);
}

#[tokio::test]
async fn others_of_the_name_are_somebodys_data() {
    let cases = [
        (FoundMode::Raw, 32, "ForeignNamespace"),
        (FoundMode::Sector, 32, "WrongMode"),
        (FoundMode::Devdax, 32, "WrongMode"),
        (FoundMode::Fsdax, 16, "WrongSize"),
    ];
    for (mode, size, reason) in cases {
        let world = World::new();
        world.put_namespace("v", 0, size, mode);
        let worker = world.live_for_ever();
        let outcome = worker.advance(world.ask("v", 28, VolumeMode::Fsdax)).await.unwrap();
        assert_eq!(outcome, Outcome::Waiting);
        assert_eq!(world.reason("v"), reason);
        assert_eq!(world.status("v").phase, None);

        world.delete("v");
        assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Released);
        assert_eq!(world.namespaces("v").len(), 1, "{reason}");
        assert!(world.is_all(mib(0, 64), OLD), "{reason}");
    }
}

#[tokio::test]
async fn two_of_the_name_are_not_chosen_between() {
    let world = World::new();
    world.put_namespace("v", 0, 32, FoundMode::Fsdax);
    world.put_namespace("v", 32, 32, FoundMode::Fsdax);
    let worker = world.live_for_ever();
    worker.advance(world.ask("v", 28, VolumeMode::Fsdax)).await.unwrap();
    assert_eq!(world.reason("v"), "AmbiguousNamespace");
    assert!(world.is_all(mib(0, 64), OLD));
}

#[tokio::test]
async fn a_volume_that_vanished_is_never_made_anew() {
    let world = World::new();
    let worker = world.live_for_ever();
    worker.advance(world.ask("v", 28, VolumeMode::Fsdax)).await.unwrap();
    world.disk().inventory.namespaces.clear();
    let worker = world.live_for_ever();
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Waiting);
    assert_eq!(world.reason("v"), "NamespaceGone");
    assert_eq!(world.status("v").phase, Some(Phase::Ready));
    assert!(world.namespaces("v").is_empty());

    world.delete("v");
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Released);
}

#[tokio::test]
async fn a_used_volume_that_is_disabled_keeps_its_data() {
    let world = World::new();
    world
        .live_for_ever()
        .advance(world.ask("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    let extent = world.namespaces("v")[0].extent;
    world.fill(extent, 7);
    {
        let mut disk = world.disk();
        disk.inventory.namespaces[0].mode = FoundMode::Raw;
        disk.inventory.namespaces[0].usable = None;
    }
    let worker = world.live_for_ever();
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Waiting);
    assert_eq!(world.reason("v"), "NamespaceDisabled");
    assert!(world.is_all(extent, 7));
}

#[tokio::test]
async fn a_disabled_region_hides_namespaces_and_frees_nothing() {
    let world = World::new();
    world
        .live_for_ever()
        .advance(world.ask("v", 28, VolumeMode::Fsdax))
        .await
        .unwrap();
    let there = std::mem::take(&mut world.disk().inventory.namespaces);
    world.disk().inventory.regions[0].state = RegionState::Disabled;
    world.delete("v");
    let worker = world.live_for_ever();
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Waiting);
    assert_eq!(world.reason("v"), "RegionAway");

    world.disk().inventory.regions[0].state = RegionState::Ready;
    world.disk().inventory.namespaces = there;
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Released);
}

#[tokio::test]
async fn nothing_is_written_to_a_region_that_is_not_ready() {
    for state in [RegionState::Unprepared, RegionState::ReadOnly, RegionState::Misaligned] {
        let world = World::new();
        world
            .live_for_ever()
            .advance(world.ask("v", 28, VolumeMode::Fsdax))
            .await
            .unwrap();
        let extent = world.namespaces("v")[0].extent;
        world.fill(extent, 7);
        world.disk().inventory.regions[0].state = state;
        world.delete("v");
        let worker = world.live_for_ever();
        assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Waiting);
        assert_eq!(world.reason("v"), "RegionNotReady");
        assert!(world.is_all(extent, 7));
        worker.advance(world.ask("w", 4, VolumeMode::Fsdax)).await.unwrap();
        assert_eq!(world.status("w").phase, Some(Phase::Refused));
    }
}
