//! Requests that must be refused, with the codes of the CSI specification.

use csi::v1::volume_capability::access_mode::Mode;
use rstest::rstest;
use tonic::Code;

use super::driver::{Driver, mount_as, shared};

#[tokio::test]
async fn missing_fields_are_named() {
    let mut driver = Driver::new().await;
    let (stage, publish) = (driver.stage(), driver.publish());
    let mut refusals = Vec::new();
    for field in ["volume_id", "staging_target_path", "volume_capability"] {
        let mut call = stage.clone();
        match field {
            "volume_id" => call.volume_id.clear(),
            "staging_target_path" => call.staging_target_path.clear(),
            _ => call.volume_capability = None,
        }
        refusals.push((field, driver.node.node_stage_volume(call).await.unwrap_err()));
    }
    for field in ["volume_id", "target_path", "volume_capability"] {
        let mut call = publish.clone();
        match field {
            "volume_id" => call.volume_id.clear(),
            "target_path" => call.target_path.clear(),
            _ => call.volume_capability = None,
        }
        refusals.push((field, driver.node.node_publish_volume(call).await.unwrap_err()));
    }
    let mut call = driver.unstage();
    call.staging_target_path.clear();
    let refused = driver.node.node_unstage_volume(call).await.unwrap_err();
    refusals.push(("staging_target_path", refused));
    let mut call = driver.unpublish();
    call.target_path.clear();
    let refused = driver.node.node_unpublish_volume(call).await.unwrap_err();
    refusals.push(("target_path", refused));
    let mut call = driver.stats();
    call.volume_path.clear();
    let refused = driver.node.node_get_volume_stats(call).await.unwrap_err();
    refusals.push(("volume_path", refused));
    for (field, refused) in refusals {
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused}");
        assert!(refused.message().contains(field), "{field}: {refused}");
    }
    assert!(driver.kernel.calls().is_empty());
}

#[tokio::test]
async fn a_publish_without_staging_path_is_a_failed_precondition() {
    let mut driver = Driver::new().await;
    let mut call = driver.publish();
    call.staging_target_path.clear();
    let refused = driver.node.node_publish_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("staging_target_path"));
}

#[tokio::test]
async fn relative_paths_and_those_that_go_up_are_refused() {
    let mut driver = Driver::new().await;
    for path in ["some/path", "/some/../path", "/some/path/.."] {
        let mut call = driver.stage();
        call.staging_target_path = path.into();
        let refused = driver.node.node_stage_volume(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("absolute"), "{refused}");
    }
}

#[tokio::test]
async fn an_unknown_volume_is_not_found_but_can_be_cleaned_up() {
    let mut driver = Driver::new().await;
    let mut stage = driver.stage();
    let mut publish = driver.publish();
    let mut stats = driver.stats();
    let mut unstage = driver.unstage();
    let mut unpublish = driver.unpublish();
    stage.volume_id = "gone".into();
    publish.volume_id = "gone".into();
    stats.volume_id = "gone".into();
    unstage.volume_id = "gone".into();
    unpublish.volume_id = "gone".into();
    let refused = [
        driver.node.node_stage_volume(stage).await.unwrap_err(),
        driver.node.node_publish_volume(publish).await.unwrap_err(),
        driver.node.node_get_volume_stats(stats).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        assert!(refused.message().contains("gone"), "{refused}");
    }
    driver.node.node_unpublish_volume(unpublish).await.unwrap();
    driver.node.node_unstage_volume(unstage).await.unwrap();
}

#[tokio::test]
async fn devices_that_cannot_be_listed_change_nothing() {
    let mut driver = Driver::new().await;
    *driver.devices.broken.lock().unwrap() = true;
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().ends_with(": no bus"), "{refused}");
    assert!(driver.kernel.calls().is_empty());
}

#[rstest]
#[case(
    Mode::MultiNodeReaderOnly,
    Code::FailedPrecondition,
    "ReadOnlyMany needs several nodes"
)]
#[case(
    Mode::MultiNodeSingleWriter,
    Code::FailedPrecondition,
    "ReadWriteMany needs several nodes"
)]
#[case(
    Mode::MultiNodeMultiWriter,
    Code::FailedPrecondition,
    "ReadWriteMany needs several nodes"
)]
#[case(Mode::Unknown, Code::InvalidArgument, "access_mode")]
#[tokio::test]
async fn modes_that_memory_in_one_node_cannot_have(#[case] mode: Mode, #[case] code: Code, #[case] why: &str) {
    let mut driver = Driver::new().await;
    let capability = Some(shared(mount_as("", &[]), mode));
    let mut stage = driver.stage();
    stage.volume_capability = capability.clone();
    let mut publish = driver.publish();
    publish.volume_capability = capability;
    for refused in [
        driver.node.node_stage_volume(stage).await.unwrap_err(),
        driver.node.node_publish_volume(publish).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(why), "{refused}");
    }
}

#[rstest]
#[case::file_system("btrfs", &[], "allowed are ext4, xfs")]
#[case::dax_off("", &["noatime", "dax=never"], "turns DAX off")]
#[case::elsewhere("", &["bind"], "is not one that a volume with ext4 can have")]
#[tokio::test]
async fn impossible_ways_to_mount(#[case] fs: &str, #[case] flags: &[&str], #[case] why: &str) {
    let mut driver = Driver::new().await;
    let mut call = driver.stage();
    call.volume_capability = Some(mount_as(fs, flags));
    let refused = driver.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains(why), "{refused}");
    assert!(driver.kernel.calls().is_empty());
}
