//! Requests that must be refused, with the codes of the CSI specification.

use ::csi::v1::volume_capability::access_mode::Mode;
use rstest::rstest;
use tonic::Code;

use super::bench::{Bench, mount_as, shared};

#[tokio::test]
async fn missing_fields_are_named() {
    let mut bench = Bench::new().await;
    let (stage, publish) = (bench.stage(), bench.publish());
    let mut refusals = Vec::new();
    for field in ["volume_id", "staging_target_path", "volume_capability"] {
        let mut call = stage.clone();
        match field {
            "volume_id" => call.volume_id.clear(),
            "staging_target_path" => call.staging_target_path.clear(),
            _ => call.volume_capability = None,
        }
        refusals.push((field, bench.node.node_stage_volume(call).await.unwrap_err()));
    }
    for field in ["volume_id", "target_path", "volume_capability"] {
        let mut call = publish.clone();
        match field {
            "volume_id" => call.volume_id.clear(),
            "target_path" => call.target_path.clear(),
            _ => call.volume_capability = None,
        }
        refusals.push((field, bench.node.node_publish_volume(call).await.unwrap_err()));
    }
    let mut call = bench.unstage();
    call.staging_target_path.clear();
    let refused = bench.node.node_unstage_volume(call).await.unwrap_err();
    refusals.push(("staging_target_path", refused));
    let mut call = bench.unpublish();
    call.target_path.clear();
    let refused = bench.node.node_unpublish_volume(call).await.unwrap_err();
    refusals.push(("target_path", refused));
    let mut call = bench.stats();
    call.volume_path.clear();
    let refused = bench.node.node_get_volume_stats(call).await.unwrap_err();
    refusals.push(("volume_path", refused));
    for (field, refused) in refusals {
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}: {refused}");
        assert!(refused.message().contains(field), "{field}: {refused}");
    }
    assert!(bench.kernel.calls().is_empty());
}

#[tokio::test]
async fn a_publish_without_staging_path_is_a_failed_precondition() {
    let mut bench = Bench::new().await;
    let mut call = bench.publish();
    call.staging_target_path.clear();
    let refused = bench.node.node_publish_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("staging_target_path"));
}

#[tokio::test]
async fn relative_paths_are_refused() {
    let mut bench = Bench::new().await;
    let mut call = bench.stage();
    call.staging_target_path = "some/path".into();
    let refused = bench.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("absolute"), "{refused}");
}

#[tokio::test]
async fn an_unknown_volume_is_not_found_but_can_be_cleaned_up() {
    let mut bench = Bench::new().await;
    let mut stage = bench.stage();
    let mut publish = bench.publish();
    let mut stats = bench.stats();
    let mut unstage = bench.unstage();
    let mut unpublish = bench.unpublish();
    stage.volume_id = "gone".into();
    publish.volume_id = "gone".into();
    stats.volume_id = "gone".into();
    unstage.volume_id = "gone".into();
    unpublish.volume_id = "gone".into();
    let refused = [
        bench.node.node_stage_volume(stage).await.unwrap_err(),
        bench.node.node_publish_volume(publish).await.unwrap_err(),
        bench.node.node_get_volume_stats(stats).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        assert!(refused.message().contains("gone"), "{refused}");
    }
    bench.node.node_unpublish_volume(unpublish).await.unwrap();
    bench.node.node_unstage_volume(unstage).await.unwrap();
}

#[tokio::test]
async fn devices_that_cannot_be_listed_change_nothing() {
    let mut bench = Bench::new().await;
    *bench.devices.broken.lock().unwrap() = true;
    let refused = bench.node.node_stage_volume(bench.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().ends_with(": no bus"), "{refused}");
    assert!(bench.kernel.calls().is_empty());
}

#[rstest]
#[case(Mode::MultiNodeReaderOnly, Code::FailedPrecondition, "MULTI_NODE_READER_ONLY")]
#[case(Mode::MultiNodeSingleWriter, Code::FailedPrecondition, "MULTI_NODE_SINGLE_WRITER")]
#[case(Mode::MultiNodeMultiWriter, Code::FailedPrecondition, "MULTI_NODE_MULTI_WRITER")]
#[case(Mode::Unknown, Code::InvalidArgument, "access_mode")]
#[tokio::test]
async fn modes_that_memory_in_one_node_cannot_have(#[case] mode: Mode, #[case] code: Code, #[case] why: &str) {
    let mut bench = Bench::new().await;
    let capability = Some(shared(mount_as("", &[]), mode));
    let mut stage = bench.stage();
    stage.volume_capability = capability.clone();
    let mut publish = bench.publish();
    publish.volume_capability = capability;
    for refused in [
        bench.node.node_stage_volume(stage).await.unwrap_err(),
        bench.node.node_publish_volume(publish).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), code, "{refused}");
        assert!(refused.message().contains(why), "{refused}");
    }
}

#[rstest]
#[case::file_system("btrfs", &[], "ext4 or xfs")]
#[case::dax_off("", &["noatime", "dax=never"], "turns DAX off")]
#[case::elsewhere("", &["bind"], "not allowed")]
#[tokio::test]
async fn impossible_ways_to_mount(#[case] fs: &str, #[case] flags: &[&str], #[case] why: &str) {
    let mut bench = Bench::new().await;
    let mut call = bench.stage();
    call.volume_capability = Some(mount_as(fs, flags));
    let refused = bench.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains(why), "{refused}");
    assert!(bench.kernel.calls().is_empty());
}
