//! Others with `ndctl` on the same machine.

use crds::VolumeMode;
use node_driver::devices::{EarlierVolume, NamespaceMode, Stage};
use placement::{Bytes, Extent, RegionId};

use super::node::{Node, REGION, as_filesystem, bare, staging};
use crate::devices::Fuse;

const PLACE: Extent = Extent::new(Bytes::mib(16), Bytes::mib(22));

#[tokio::test]
async fn what_they_made_is_there_after_everything() {
    for seed in 0..20 {
        let node = Node::new();
        let mut rng = fastrand::Rng::with_seed(seed);
        node.machine.foreign_create(&mut rng);
        node.make("v", 4, VolumeMode::Fsdax).await;
        let name = node.machine.foreign_create(&mut rng);
        node.machine.cut_power(&mut rng);
        node.erase("v").await;
        node.is_fine();
        let theirs = |node: &Node| node.machine.truth().namespaces.len();
        let before = theirs(&node);
        assert!(before >= 1 && name.is_some());
        node.machine.foreign_destroy(&mut rng).unwrap();
        assert_eq!(theirs(&node), before - 1);
        node.is_fine();
    }
}

#[test]
fn what_is_done_to_theirs_is_remembered() {
    let node = Node::new();
    node.machine.put_foreign("v", REGION, PLACE, NamespaceMode::Fsdax);
    let devices = node.machine.devices(&Fuse::new());
    assert_eq!(devices.find_volume("v").unwrap().unwrap().stage, None);
    let earlier = EarlierVolume {
        volume: "v".into(),
        region: RegionId(REGION.into()),
        extent: PLACE,
    };
    node.is_fine();
    devices.mark_earlier(&earlier, Stage::InUse).unwrap();
    let violations = node.machine.violations();
    for what in ["disabled", "renamed", "has another label"] {
        assert!(
            violations.iter().any(|violation| violation.contains(what)),
            "{violations:?}"
        );
    }
}

#[tokio::test]
async fn a_volume_of_before_there_were_marks_can_be_marked() {
    let node = Node::new();
    node.machine.put_earlier("v", REGION, PLACE, 7);
    let devices = node.machine.devices(&Fuse::new());
    let earlier = EarlierVolume {
        volume: "v".into(),
        region: RegionId(REGION.into()),
        extent: PLACE,
    };
    devices.mark_earlier(&earlier, Stage::InUse).unwrap();
    let (found, stage) = node.only("v");
    assert_eq!((stage, found.tokens), (Stage::InUse, [7].into()));
    node.is_fine();
}

#[tokio::test]
async fn a_second_namespace_of_a_volume_is_remembered() {
    let node = Node::new();
    node.make("v", 4, VolumeMode::Fsdax).await;
    node.machine.devices(&Fuse::new()).create(&bare("v", 16)).unwrap();
    assert!(node.machine.violations()[0].contains("a second namespace of volume v is made"));
}

#[tokio::test]
async fn bytes_of_a_volume_are_not_those_of_the_next_of_its_name() {
    let node = Node::new();
    node.make("v", 20, VolumeMode::Fsdax).await;
    let kubelet = node.kubelet(&Fuse::new(), as_filesystem());
    kubelet.stage("v").await.unwrap();
    node.machine.write(&staging("v"), 7).unwrap();
    kubelet.unstage("v").await.unwrap();
    let old = node.only("v").0;
    node.erase("v").await;
    node.make("v", 20, VolumeMode::Fsdax).await;
    let new = node.only("v").0;
    assert_eq!(old.namespace.uuid, new.namespace.uuid);
    assert_ne!(old.serial, new.serial);
    assert!(new.tokens.is_empty());
    node.is_fine();
}
