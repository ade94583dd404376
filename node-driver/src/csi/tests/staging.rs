//! Staging: formatted once, mounted once, with DAX in effect or not at all.

use placement::Bytes;
use rstest::rstest;
use tonic::Code;

use super::bench::{Bench, block, mount_as};
use super::fakes::Dax;
use crate::filesystem::{Content, FsType};

#[tokio::test]
async fn formats_and_mounts_once() {
    let mut bench = Bench::new().await;
    for _ in 0..2 {
        bench.node.node_stage_volume(bench.stage()).await.unwrap();
    }
    assert_eq!(bench.kernel.calls(), ["format ext4", "mount ext4 dax=always"]);
    for _ in 0..2 {
        bench.node.node_unstage_volume(bench.unstage()).await.unwrap();
    }
    assert!(bench.kernel.state().mounts.is_empty());
    bench.node.node_stage_volume(bench.stage()).await.unwrap();
    let later = bench.kernel.calls().split_off(2);
    assert_eq!(later, ["unmount", "check ext4", "mount ext4 dax=always"]);
}

#[tokio::test]
async fn honours_the_users_options() {
    let mut bench = Bench::new().await;
    let mut call = bench.stage();
    call.volume_capability = Some(mount_as("xfs", &["noatime", "dax"]));
    bench.node.node_stage_volume(call).await.unwrap();
    let expected = ["format xfs", "mount xfs noatime,dax=always"];
    assert_eq!(bench.kernel.calls(), expected);
}

#[tokio::test]
async fn a_device_without_dax_is_mounted_without() {
    let mut bench = Bench::new().await;
    bench.add("s", Bytes::mib(64), false);
    let mut call = bench.stage();
    call.volume_id = "s".into();
    bench.node.node_stage_volume(call).await.unwrap();
    assert_eq!(bench.kernel.calls(), ["format ext4", "mount ext4 defaults"]);
}

#[rstest]
#[case::not_in_the_options(Dax::NotShown, "mount options rw")]
#[case::not_for_files(Dax::NotForFiles, "STATX_ATTR_DAX")]
#[tokio::test]
async fn without_dax_in_effect_nothing_stays_mounted(#[case] dax: Dax, #[case] why: &str) {
    let mut bench = Bench::new().await;
    bench.kernel.state().dax = dax;
    let refused = bench.node.node_stage_volume(bench.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(why), "{refused}");
    assert!(bench.kernel.state().mounts.is_empty());
}

#[tokio::test]
async fn a_kernel_that_refuses_dax_is_not_asked_for_less() {
    let mut bench = Bench::new().await;
    bench.kernel.state().dax = Dax::Refused;
    let refused = bench.node.node_stage_volume(bench.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let message = refused.message();
    assert!(message.contains("blocks other than 4 KiB"), "{message}");
    assert!(message.ends_with(": wrong fs type"), "{message}");
    assert!(bench.kernel.state().mounts.is_empty());
}

#[tokio::test]
async fn a_crash_before_the_check_of_dax_does_not_skip_it() {
    let mut bench = Bench::new().await;
    bench.node.node_stage_volume(bench.stage()).await.unwrap();
    bench.kernel.state().dax = Dax::NotForFiles;
    let refused = bench.node.node_stage_volume(bench.stage()).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    assert!(bench.kernel.state().mounts.is_empty());
}

#[tokio::test]
async fn somebodys_data_is_never_formatted() {
    let mut bench = Bench::new().await;
    bench.set_content(Content::Foreign("crypto_LUKS".into()));
    let refused = bench.node.node_stage_volume(bench.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("crypto_LUKS"), "{refused}");
    bench.set_content(Content::Filesystem(FsType::Xfs));
    let mut call = bench.stage();
    call.volume_capability = Some(mount_as("ext4", &[]));
    let refused = bench.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(bench.kernel.calls().is_empty());
}

#[tokio::test]
async fn what_mkfs_left_is_formatted_again() {
    let mut bench = Bench::new().await;
    bench.set_content(Content::Unfinished);
    bench.node.node_stage_volume(bench.stage()).await.unwrap();
    assert_eq!(bench.kernel.calls()[0], "format ext4");
}

#[tokio::test]
async fn xfs_on_a_small_volume_says_how_much_it_needs() {
    let mut bench = Bench::new().await;
    bench.add("small", Bytes::mib(28), true);
    let mut call = bench.stage();
    call.volume_id = "small".into();
    call.volume_capability = Some(mount_as("xfs", &[]));
    let refused = bench.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let message = refused.message();
    assert!(message.contains("at least 300 MiB, this one has 28 MiB"), "{message}");
    assert!(bench.kernel.calls().is_empty());
}

#[tokio::test]
async fn staged_in_another_way_already_exists() {
    let mut bench = Bench::new().await;
    bench.add("other", Bytes::mib(64), true);
    bench.node.node_stage_volume(bench.stage()).await.unwrap();
    let mut other_volume = bench.stage();
    other_volume.volume_id = "other".into();
    let mut other_fs = bench.stage();
    other_fs.volume_capability = Some(mount_as("xfs", &[]));
    let mut read_only = bench.stage();
    read_only.volume_capability = Some(mount_as("", &["ro"]));
    for call in [other_volume, other_fs, read_only] {
        let refused = bench.node.node_stage_volume(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
    assert_eq!(bench.kernel.state().mounts.len(), 1);
}

#[tokio::test]
async fn a_block_volume_needs_no_staging() {
    let mut bench = Bench::new().await;
    let mut call = bench.stage();
    call.volume_capability = Some(block());
    bench.node.node_stage_volume(call).await.unwrap();
    assert!(bench.kernel.calls().is_empty());
}
