//! A volume's life with the real worker and the real CSI service.

use crds::VolumeMode;
use csi::v1::volume_capability::AccessType;
use node_driver::devices::Stage;
use rstest::rstest;

use super::node::{Node, as_block, as_filesystem, target};
use crate::devices::{Fuse, Holds};

#[rstest]
#[case::fsdax(VolumeMode::Fsdax, as_filesystem())]
#[case::sector(VolumeMode::Sector, as_filesystem())]
#[case::block(VolumeMode::Fsdax, as_block())]
#[tokio::test]
async fn is_made_used_and_erased(#[case] mode: VolumeMode, #[case] access: AccessType) {
    let node = Node::new();
    node.make("v", 20, mode).await;
    let (found, stage) = node.only("v");
    assert_eq!((stage, found.holds), (Stage::HandedOut, Holds::Blank));

    let kubelet = node.kubelet(&Fuse::new(), access);
    kubelet.stage("v").await.unwrap();
    kubelet.publish("v", false).await.unwrap();
    assert_eq!(node.only("v").1, Stage::InUse);
    assert_eq!(node.machine.read(&target("v")).unwrap(), None);
    node.machine.write(&target("v"), 7).unwrap();
    assert_eq!(node.machine.read(&target("v")).unwrap(), Some(7));
    assert_eq!(node.only("v").0.tokens, [7].into());
    kubelet.unpublish("v").await.unwrap();
    kubelet.unstage("v").await.unwrap();
    assert!(node.machine.truth().mounts.is_empty());

    kubelet.stage("v").await.unwrap();
    kubelet.publish("v", true).await.unwrap();
    assert_eq!(node.machine.read(&target("v")).unwrap(), Some(7));
    assert!(node.machine.write(&target("v"), 8).is_err());
    kubelet.unpublish("v").await.unwrap();
    kubelet.unstage("v").await.unwrap();

    node.erase("v").await;
    assert!(node.machine.truth().namespaces.is_empty());
    node.is_fine();
}
