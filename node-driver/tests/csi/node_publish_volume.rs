//! `NodePublishVolume` for one pod, read-only or not, as a directory or a device; and `NodeGetVolumeStats` after it.

use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_usage::Unit;
use placement::Bytes;
use rstest::rstest;
use tonic::Code;

use super::driver::{Driver, block, mount_as, shared, text};
use node_driver::devices::Stage;

#[tokio::test]
async fn publishes_once_and_leaves_nothing_behind() {
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    for _ in 0..2 {
        driver.node.node_publish_volume(driver.publish()).await.unwrap();
    }
    let binds = driver.kernel.calls();
    assert_eq!(binds.iter().filter(|c| *c == "bind rw").count(), 1);
    for _ in 0..2 {
        driver.node.node_unpublish_volume(driver.unpublish()).await.unwrap();
    }
    assert!(!driver.path("target").exists());
    assert_eq!(driver.kernel.state().mounts.len(), 1, "still staged");
}

#[tokio::test]
async fn the_target_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    driver.node.node_publish_volume(driver.publish()).await.unwrap();
    let metadata = driver.path("target").metadata().unwrap();
    assert_eq!(metadata.permissions().mode() & 0o027, 0);
}

#[tokio::test]
async fn what_is_not_staged_cannot_be_published() {
    let mut driver = Driver::new().await;
    let refused = driver.node.node_publish_volume(driver.publish()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("is not staged at"), "{refused}");
    assert!(!driver.path("target").exists());
}

#[rstest]
#[case::asked_for(true, Mode::SingleNodeWriter, "bind ro")]
#[case::reader(false, Mode::SingleNodeReaderOnly, "bind ro")]
#[case::writer(false, Mode::SingleNodeMultiWriter, "bind rw")]
#[tokio::test]
async fn readers_cannot_write(#[case] readonly: bool, #[case] mode: Mode, #[case] call: &str) {
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    let mut publish = driver.publish();
    publish.readonly = readonly;
    publish.volume_capability = Some(shared(mount_as("", &[]), mode));
    for _ in 0..2 {
        driver.node.node_publish_volume(publish.clone()).await.unwrap();
    }
    assert_eq!(driver.kernel.calls()[3..], [call.to_owned()]);
}

#[tokio::test]
async fn published_in_another_way_already_exists() {
    let mut driver = Driver::new().await;
    driver.add("other", Bytes::mib(64), true);
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    let mut other_stage = driver.stage();
    other_stage.volume_id = "other".into();
    other_stage.staging_target_path = text(&driver.path("other"));
    driver.node.node_stage_volume(other_stage.clone()).await.unwrap();
    driver.node.node_publish_volume(driver.publish()).await.unwrap();
    let mut read_only = driver.publish();
    read_only.readonly = true;
    let mut other = driver.publish();
    other.volume_id = "other".into();
    other.staging_target_path = other_stage.staging_target_path;
    for call in [read_only, other] {
        let refused = driver.node.node_publish_volume(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
}

#[rstest]
#[case::one(Mode::SingleNodeSingleWriter, false)]
#[case::many(Mode::SingleNodeMultiWriter, true)]
#[case::as_kubernetes_has_always_done(Mode::SingleNodeWriter, true)]
#[tokio::test]
async fn a_second_workload(#[case] mode: Mode, #[case] allowed: bool, #[values(false, true)] as_block: bool) {
    let mut driver = Driver::new().await;
    let plain = if as_block { block() } else { mount_as("", &[]) };
    let capability = Some(shared(plain, mode));
    let mut stage = driver.stage();
    stage.volume_capability = capability.clone();
    driver.node.node_stage_volume(stage).await.unwrap();
    let mut publish = driver.publish();
    publish.volume_capability = capability;
    for _ in 0..2 {
        driver.node.node_publish_volume(publish.clone()).await.unwrap();
    }
    publish.target_path = text(&driver.path("second"));
    let second = driver.node.node_publish_volume(publish).await;
    assert_eq!(second.is_ok(), allowed);
    if let Err(refused) = second {
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(!driver.path("second").exists());
    }
}

#[tokio::test]
async fn a_block_volume_is_a_device_at_the_target() {
    let mut driver = Driver::new().await;
    let mut publish = driver.publish();
    publish.volume_capability = Some(block());
    let refused = driver.node.node_publish_volume(publish.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    driver.set_stage(Some(Stage::InUse));
    for _ in 0..2 {
        driver.node.node_publish_volume(publish.clone()).await.unwrap();
    }
    assert_eq!(driver.kernel.calls(), ["bind rw"]);
    assert!(driver.path("target").is_file());
    let stats = driver.node.node_get_volume_stats(driver.stats()).await;
    let usage = stats.unwrap().into_inner().usage;
    assert_eq!(usage.len(), 1);
    assert_eq!(usage[0].total, Bytes::mib(512).get());
    assert_eq!(usage[0].unit(), Unit::Bytes);
    driver.node.node_unpublish_volume(driver.unpublish()).await.unwrap();
    assert!(!driver.path("target").exists());
}

#[tokio::test]
async fn figures_of_a_file_system() {
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    driver.node.node_publish_volume(driver.publish()).await.unwrap();
    driver.kernel.state().bad = Bytes::kib(4);
    let stats = driver.node.node_get_volume_stats(driver.stats()).await;
    let stats = stats.unwrap().into_inner();
    let figures = |unit: Unit| {
        let of = stats.usage.iter().find(|usage| usage.unit() == unit);
        of.map(|usage| (usage.total, usage.used, usage.available)).unwrap()
    };
    assert_eq!(figures(Unit::Bytes), (20 << 20, 5 << 20, 15 << 20));
    assert_eq!(figures(Unit::Inodes), (100, 11, 89));
    assert!(stats.volume_condition.unwrap().abnormal);
}

#[tokio::test]
async fn figures_of_what_is_not_there() {
    let mut driver = Driver::new().await;
    for path in ["some/path".into(), text(driver.dir.path())] {
        let mut call = driver.stats();
        call.volume_path = path;
        let refused = driver.node.node_get_volume_stats(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }
}
