//! A volume's life when nothing goes wrong.

use crds::{Phase, VolumeMode};
use placement::{Bytes, Extent, RegionId};
use rstest::rstest;

use super::model::{NODE, OLD, World};
use crate::volumes::Outcome;

#[rstest]
#[case(VolumeMode::Fsdax, 28, 30)]
#[case(VolumeMode::Fsdax, 1, 16)]
#[case(VolumeMode::Sector, 16, 18)]
#[tokio::test]
async fn is_made_zeroed_and_erased(#[case] mode: VolumeMode, #[case] required: u32, #[case] footprint: u32) {
    let world = World::new();
    let worker = world.live_for_ever();
    let outcome = worker.advance(world.ask("v", required, mode)).await.unwrap();
    assert_eq!(outcome, Outcome::Settled);

    let extent = Extent::new(Bytes::ZERO, Bytes::mib(footprint));
    let status = world.status("v");
    assert_eq!(status.phase, Some(Phase::Ready));
    assert_eq!(status.region, Some(RegionId("r0".into())));
    assert_eq!(status.footprint, Some(extent));
    assert!(status.usable.unwrap() >= Bytes::mib(required));
    assert!(status.layout_revision.is_some());
    assert_eq!(status.conditions[0].status, "True");
    assert!(world.is_all(extent, 0), "an earlier tenant's bytes can be read");

    world.fill(extent, 7);
    world.delete("v");
    let outcome = worker.advance(world.volume("v")).await.unwrap();
    assert_eq!(outcome, Outcome::Released);
    assert!(world.record.get("v").is_none());
    assert!(world.namespaces("v").is_empty());
    assert!(world.is_all(extent, 0));
}

#[tokio::test]
async fn a_ready_volume_stays_as_it_is() {
    let world = World::new();
    world
        .live_for_ever()
        .advance(world.ask("v", 20, VolumeMode::Fsdax))
        .await
        .unwrap();
    let before = world.volume("v");
    let worker = world.live_for_ever();
    for _ in 0..2 {
        assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Settled);
        assert_eq!(world.volume("v"), before);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_numbers_and_for_good() {
    let world = World::new();
    let worker = world.live_for_ever();
    worker.advance(world.ask("big", 100, VolumeMode::Fsdax)).await.unwrap();
    let status = world.status("big");
    assert_eq!(status.phase, Some(Phase::Refused));
    let condition = &status.conditions[0];
    assert_eq!(
        (condition.status.as_str(), condition.reason.as_str()),
        ("False", "NoSpace")
    );
    assert!(
        condition
            .message
            .contains("asked 100 MiB; largest extent 62 MiB on NUMA 0"),
        "{}",
        condition.message
    );
    assert!(world.namespaces("big").is_empty());

    worker.advance(world.volume("big")).await.unwrap();
    assert_eq!(world.status("big"), status);
    world.delete("big");
    assert_eq!(worker.advance(world.volume("big")).await.unwrap(), Outcome::Released);
}

#[tokio::test]
async fn an_object_without_finalizer_gets_one_first() {
    let world = World::new();
    let mut volume = world.ask("v", 20, VolumeMode::Fsdax);
    volume.metadata.finalizers = None;
    world.record.put(volume.clone());
    world.live_for_ever().advance(volume).await.unwrap();
    assert_eq!(world.volume("v").metadata.finalizers.unwrap(), [crds::FINALIZER]);
    assert_eq!(world.status("v").phase, Some(Phase::Ready));
}

#[tokio::test]
async fn what_is_mounted_is_not_erased() {
    let world = World::new();
    let worker = world.live_for_ever();
    worker.advance(world.ask("v", 20, VolumeMode::Fsdax)).await.unwrap();
    let extent = world.namespaces("v")[0].extent;
    world.fill(extent, OLD);
    world.disk().mounted.push("v".into());
    world.delete("v");
    assert!(worker.advance(world.volume("v")).await.is_err());
    assert_eq!(world.reason("v"), "InUse");
    assert!(world.is_all(extent, OLD));

    world.disk().mounted.clear();
    assert_eq!(worker.advance(world.volume("v")).await.unwrap(), Outcome::Released);
    assert!(world.is_all(extent, 0));
}

#[tokio::test]
async fn earlier_volumes_come_first() {
    let world = World::new();
    let worker = world.live_for_ever();
    world.ask("a", 40, VolumeMode::Fsdax);
    let later = world.ask("b", 40, VolumeMode::Fsdax);
    assert_eq!(later.spec.node, NODE);
    worker.advance(later).await.unwrap();
    assert_eq!(world.status("b").phase, Some(Phase::Refused));
    worker.advance(world.volume("a")).await.unwrap();
    assert_eq!(world.status("a").phase, Some(Phase::Ready));
}
