//! What the index makes of watches, and of volumes that are being written.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod support;

use std::collections::BTreeSet;

use cluster::watch::feed;
use crds::NumaChoice;
use daxfit_operator::index::SharedIndex;
use futures::stream;
use kube::runtime::watcher::{Error, Event};
use placement::{Bytes, NumaNode};
use support::{Watched, class, index, node, plain_node, volume};

fn largest(index: &SharedIndex, node: &str) -> Option<u32> {
    let mode = placement::Mode::Fsdax(placement::MapLocation::Dev);
    let numa = Some(placement::NumaNode(0));
    let free = index.read(|index| index.free_space(node));
    free.map(|free| u32::try_from(free.largest_usable(mode, numa).get() >> 20).unwrap())
}

#[tokio::test]
async fn a_watch_that_fails_drops_nothing() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![]);
    index.update(|index| index.take_dirty_beside(&BTreeSet::new(), usize::MAX));
    let broken = [
        Err(Error::NoResourceVersion),
        Ok(Event::Init),
        Err(Error::NoResourceVersion),
        Ok(Event::Init),
        Ok(Event::InitApply(plain_node("other", 64))),
    ];
    feed(stream::iter(broken), &index).await;
    assert_eq!(largest(&index, "n"), Some(502));
    assert!(
        !index
            .update(|index| index.take_dirty_beside(&BTreeSet::new(), usize::MAX))
            .contains("n")
    );
}

#[tokio::test]
async fn a_complete_list_replaces_what_was_there() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![class("c", &[])]);
    let listed = [
        Ok(Event::Init),
        Ok(Event::InitApply(plain_node("half", 64))),
        Ok(Event::Init),
        Ok(Event::InitApply(plain_node("other", 64))),
        Ok(Event::InitDone),
    ];
    feed(stream::iter(listed), &index).await;
    assert_eq!((largest(&index, "n"), largest(&index, "half")), (None, None));
    assert_eq!(largest(&index, "other"), Some(62));
    let dirty = index.update(|index| index.take_dirty_beside(&BTreeSet::new(), usize::MAX));
    assert!(dirty.contains("n") && dirty.contains("other"));
}

#[test]
fn a_reserved_volume_takes_its_space_once() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![]);
    let reserved = index.reserve(|_| Ok::<_, ()>(volume("v", "n", 98))).unwrap();
    assert_eq!(largest(&index, "n"), Some(404));
    index.apply(volume("v", "n", 98));
    assert_eq!(largest(&index, "n"), Some(404));
    drop(reserved);
    assert_eq!(largest(&index, "n"), Some(404));
    index.delete(&volume("v", "n", 98));
    assert_eq!(largest(&index, "n"), Some(502));
}

#[test]
fn a_volume_that_was_not_written_gives_its_space_back() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![]);
    let reserved = index.reserve(|_| Ok::<_, ()>(volume("v", "n", 98))).unwrap();
    drop(reserved);
    assert_eq!(largest(&index, "n"), Some(502));
    assert!(index.reserve(|_| Err(())).is_err());
    assert_eq!(largest(&index, "n"), Some(502));
}

#[test]
fn a_volume_of_the_same_name_on_another_node_is_counted_there() {
    let nodes = vec![plain_node("a", 512), plain_node("b", 512)];
    let index = index(nodes, vec![volume("v", "a", 98)], vec![]);
    index.apply(volume("v", "b", 98));
    assert_eq!((largest(&index, "a"), largest(&index, "b")), (Some(502), Some(404)));
}

#[test]
fn an_old_answer_does_not_replace_what_the_watch_showed() {
    let index = index(vec![plain_node("n", 512)], vec![volume("v", "n", 98)], vec![]);
    let refresh = |version: &str, deleting: bool| {
        let mut answer = volume("v", "n", 98);
        answer.metadata.resource_version = Some(version.into());
        answer.metadata.deletion_timestamp = deleting.then(|| answer.metadata.creation_timestamp.clone().unwrap());
        index.update(|index| index.refresh_volume("v", answer));
        index.read(|index| index.volume("v").unwrap().metadata.deletion_timestamp.is_some())
    };
    assert!(refresh("5", true));
    assert!(refresh("4", false), "older");
    index.delete(&volume("v", "n", 98));
    index.update(|index| index.refresh_volume("v", volume("v", "n", 98)));
    assert!(index.read(|index| index.volume("v").is_none()), "gone is gone");
}

#[test]
fn an_old_answer_does_not_bring_a_node_back_whose_end_the_watch_showed() {
    let index = index(vec![plain_node("n", 512)], vec![], vec![]);
    index.delete(&plain_node("n", 512));
    index.update(|index| index.refresh_node(plain_node("n", 512), true));
    assert!(index.read(|index| index.node("n").is_none()), "gone is gone");
    index.update(|index| index.refresh_node(plain_node("n", 512), false));
    assert!(index.read(|index| index.node("n").is_some()), "not shown yet");
}

/// The API server keeps whole seconds, and a node makes volumes of one second by name.
#[test]
fn what_was_written_takes_its_space_in_the_order_of_its_node() {
    let node = node("n", &[(Some(0), &[(0, 64)]), (Some(1), &[(0, 32)])]);
    let index = index(vec![node], vec![], vec![]);
    let reserve = |name: &str, mib: u32, numa: NumaChoice, time: &str| {
        let mut volume = volume(name, "n", mib);
        volume.spec.numa = numa;
        volume.metadata.creation_timestamp = Some(serde_json::from_value(time.into()).unwrap());
        index.reserve::<()>(|_| Ok(volume)).unwrap()
    };
    let is_taken = || {
        let free = index.read(|index| index.free_space("n")).unwrap();
        let on = free.regions.iter().filter(|region| region.numa == Some(NumaNode(1)));
        let left: Bytes = on.flat_map(|region| &region.free).map(|extent| extent.size).sum();
        left < Bytes::mib(16)
    };
    let (_, _earlier) = reserve("b", 34, NumaChoice::Node(NumaNode(0)), "2026-01-02T00:00:00.3Z");
    let (mut volume, later) = reserve("a", 26, NumaChoice::Any, "2026-01-02T00:00:00.7Z");
    assert!(!is_taken(), "beside the first, where less is left");
    volume.metadata.creation_timestamp = Some(serde_json::from_value("2026-01-02T00:00:00Z".into()).unwrap());
    later.written(&volume);
    assert!(is_taken());
}
