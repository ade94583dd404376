//! Several volumes at once.

use std::sync::Arc;

use crds::{Phase, VolumeMode};

use super::model::World;
use crate::volumes::Outcome;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_gets_its_own_bytes() {
    let world = World::new();
    let worker = Arc::new(world.live_for_ever());
    let volumes: Vec<_> = ["a", "b", "c"]
        .map(|name| world.ask(name, 14, VolumeMode::Fsdax))
        .into();
    let tasks: Vec<_> = volumes
        .into_iter()
        .map(|volume| {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move { worker.advance(volume).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), Outcome::Settled);
    }
    let extents = ["a", "b", "c"].map(|name| world.status(name).footprint.unwrap());
    for (i, one) in extents.iter().enumerate() {
        assert!(extents[..i].iter().all(|other| !one.overlaps(*other)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_erasure_keeps_nobody_waiting() {
    let world = World::new();
    let worker = Arc::new(world.live_for_ever());
    worker.advance(world.ask("old", 14, VolumeMode::Fsdax)).await.unwrap();
    world.disk().slow.push("old".into());
    world.delete("old");
    let erasing = tokio::spawn({
        let (worker, volume) = (Arc::clone(&worker), world.volume("old"));
        async move { worker.advance(volume).await.unwrap() }
    });

    worker.advance(world.ask("new", 14, VolumeMode::Fsdax)).await.unwrap();
    assert_eq!(world.status("new").phase, Some(Phase::Ready));
    assert!(!erasing.is_finished());

    world.disk().slow.clear();
    assert_eq!(erasing.await.unwrap(), Outcome::Released);
}
