//! `NodeStageVolume`: formatted once, mounted once, with DAX in effect or not at all.

use placement::Bytes;
use rstest::rstest;
use tonic::Code;

use super::driver::{Driver, block, mount_as};
use super::fakes::Dax;
use node_driver::devices::Stage;
use node_driver::filesystem::{Content, Filesystem};

#[tokio::test]
async fn formats_and_mounts_once() {
    let mut driver = Driver::new().await;
    for _ in 0..2 {
        driver.node.node_stage_volume(driver.stage()).await.unwrap();
    }
    assert_eq!(
        driver.kernel.calls(),
        ["format ext4", "check ext4", "mount ext4 dax=always"]
    );
    for _ in 0..2 {
        driver.node.node_unstage_volume(driver.unstage()).await.unwrap();
    }
    assert!(driver.kernel.state().mounts.is_empty());
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    assert_eq!(driver.stage_of_v(), Some(Stage::InUse));
    let later = driver.kernel.calls().split_off(3);
    assert_eq!(later, ["unmount", "check ext4", "mount ext4 dax=always"]);
}

/// After a power loss it would be taken for one that nobody had, and formatted with somebody's data in it.
#[tokio::test]
async fn a_volume_whose_mark_is_not_recorded_is_handed_to_nobody() {
    let mut driver = Driver::new().await;
    *driver.devices.labels_are_lost.lock().unwrap() = true;
    for _ in 0..2 {
        let refused = driver.node.node_stage_volume(driver.stage()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{refused}");
    }
    assert!(driver.kernel.state().mounts.is_empty());
    *driver.devices.labels_are_lost.lock().unwrap() = false;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    assert_eq!(
        driver.kernel.calls(),
        ["format ext4", "check ext4", "mount ext4 dax=always"]
    );
}

#[tokio::test]
async fn honours_the_users_options() {
    let mut driver = Driver::new().await;
    let mut call = driver.stage();
    call.volume_capability = Some(mount_as("xfs", &["noatime", "dax"]));
    driver.node.node_stage_volume(call).await.unwrap();
    let expected = ["format xfs", "check xfs", "mount xfs noatime,dax=always"];
    assert_eq!(driver.kernel.calls(), expected);
}

#[tokio::test]
async fn a_device_without_dax_is_mounted_without() {
    let mut driver = Driver::new().await;
    driver.add("s", Bytes::mib(64), false);
    let mut call = driver.stage();
    call.volume_id = "s".into();
    driver.node.node_stage_volume(call).await.unwrap();
    assert_eq!(
        driver.kernel.calls(),
        ["format ext4", "check ext4", "mount ext4 defaults"]
    );
}

/// What a mount without DAX would hide: stores that are not persistent when the program thinks so.
#[tokio::test]
async fn a_device_that_should_have_dax_and_has_none_is_neither_mounted_nor_shown() {
    let mut driver = Driver::new().await;
    driver.lose_dax();
    let mut as_block = driver.stage();
    as_block.volume_capability = Some(block());
    let mut publish = driver.publish();
    publish.volume_capability = Some(block());
    let refusals = [
        driver.node.node_stage_volume(driver.stage()).await.unwrap_err(),
        driver.node.node_stage_volume(as_block).await.unwrap_err(),
        driver.node.node_publish_volume(publish).await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        let message = refused.message();
        assert!(
            message.contains("/dev/v") && message.contains("CONFIG_FS_DAX"),
            "{message}"
        );
    }
    assert!(driver.kernel.calls().is_empty());
}

#[rstest]
#[case::not_in_the_options(Dax::NotShown, "mount options rw")]
#[case::not_for_files(Dax::NotForFiles, "STATX_ATTR_DAX")]
#[tokio::test]
async fn without_dax_in_effect_nothing_stays_mounted(#[case] dax: Dax, #[case] why: &str) {
    let mut driver = Driver::new().await;
    driver.kernel.state().dax = dax;
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains(why), "{refused}");
    assert!(driver.kernel.state().mounts.is_empty());
}

#[tokio::test]
async fn a_kernel_that_refuses_dax_is_not_asked_for_less() {
    let mut driver = Driver::new().await;
    driver.kernel.state().dax = Dax::Refused;
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let message = refused.message();
    assert!(message.contains("blocks other than 4 KiB"), "{message}");
    assert!(message.ends_with(": wrong fs type"), "{message}");
    assert!(driver.kernel.state().mounts.is_empty());
}

/// Nothing can be made on a full file system, and its owner needs it to delete something.
#[tokio::test]
async fn a_full_file_system_is_mounted_again() {
    let mut driver = Driver::new().await;
    driver.kernel.state().dax = Dax::NotTold;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    assert_eq!(driver.kernel.state().mounts.len(), 1);
}

/// Such as the copy of an earlier mount that a container has which sees the directories of the host.
#[tokio::test]
async fn a_device_that_is_mounted_elsewhere_is_mounted_without_a_check() {
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    driver.kernel.state().mounts.clear();
    driver.kernel.state().calls.clear();
    driver.hold();
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    assert_eq!(driver.kernel.calls(), ["mount ext4 dax=always"]);
}

#[tokio::test]
async fn what_holds_a_device_is_said_to_be_in_the_way() {
    let mut driver = Driver::new().await;
    driver.hold();
    driver.kernel.state().dax = Dax::Refused;
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let message = refused.message();
    assert!(message.contains("has /dev/v for itself"), "{message}");
}

#[tokio::test]
async fn a_crash_before_the_check_of_dax_does_not_skip_it() {
    let mut driver = Driver::new().await;
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    driver.kernel.state().dax = Dax::NotForFiles;
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    assert_eq!(refused.unwrap_err().code(), Code::FailedPrecondition);
    assert!(driver.kernel.state().mounts.is_empty());
}

#[tokio::test]
async fn somebodys_data_is_never_formatted() {
    let mut driver = Driver::new().await;
    driver.set_stage(Some(Stage::InUse));
    driver.set_content(Content::Foreign("crypto_LUKS".into()));
    let refused = driver.node.node_stage_volume(driver.stage()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("crypto_LUKS"), "{refused}");
    driver.set_content(Content::Filesystem(Filesystem::Xfs));
    let mut call = driver.stage();
    call.volume_capability = Some(mount_as("ext4", &[]));
    let refused = driver.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(driver.kernel.calls().is_empty());
}

/// Whatever an interrupted mkfs left there.
#[tokio::test]
async fn a_volume_that_nobody_had_is_formatted_from_scratch() {
    for left in [
        Content::Foreign("half of an ext4".into()),
        Content::Filesystem(Filesystem::Xfs),
    ] {
        let mut driver = Driver::new().await;
        driver.set_content(left);
        driver.node.node_stage_volume(driver.stage()).await.unwrap();
        assert_eq!(driver.kernel.calls()[0], "format ext4");
    }
}

#[tokio::test]
async fn a_volume_that_was_in_use_is_never_formatted_whatever_its_first_blocks_look_like() {
    let mut driver = Driver::new().await;
    driver.set_stage(Some(Stage::InUse));
    driver.set_content(Content::Blank);
    let refused = driver.node.node_stage_volume(driver.stage()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("never formatted again"), "{refused}");
    assert!(driver.kernel.calls().is_empty());
}

#[tokio::test]
async fn a_namespace_without_mark_is_used_only_if_the_cluster_vouches_for_it() {
    let mut driver = Driver::new().await;
    driver.set_stage(None);
    driver.set_content(Content::Filesystem(Filesystem::Ext4));
    let refused = driver.node.node_stage_volume(driver.stage()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(driver.kernel.calls().is_empty());
    driver.earlier.insert("v");
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    assert_eq!(driver.kernel.calls()[0], "check ext4");
}

#[tokio::test]
async fn a_volume_that_is_made_or_erased_is_not_staged() {
    let mut driver = Driver::new().await;
    for stage in [Stage::Making, Stage::Erasing] {
        driver.set_stage(Some(stage));
        let refused = driver.node.node_stage_volume(driver.stage()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
    assert!(driver.kernel.calls().is_empty());
}

#[tokio::test]
async fn xfs_on_a_small_volume_says_how_much_it_needs() {
    let mut driver = Driver::new().await;
    driver.add("small", Bytes::mib(28), true);
    let mut call = driver.stage();
    call.volume_id = "small".into();
    call.volume_capability = Some(mount_as("xfs", &[]));
    let refused = driver.node.node_stage_volume(call).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let message = refused.message();
    assert!(message.contains("at least 300 MiB, this one has 28 MiB"), "{message}");
    assert!(driver.kernel.calls().is_empty());
}

#[tokio::test]
async fn staged_in_another_way_already_exists() {
    let mut driver = Driver::new().await;
    driver.add("other", Bytes::mib(64), true);
    driver.node.node_stage_volume(driver.stage()).await.unwrap();
    let mut other_volume = driver.stage();
    other_volume.volume_id = "other".into();
    let mut other_fs = driver.stage();
    other_fs.volume_capability = Some(mount_as("xfs", &[]));
    let mut read_only = driver.stage();
    read_only.volume_capability = Some(mount_as("", &["ro"]));
    for call in [other_volume, other_fs, read_only] {
        let refused = driver.node.node_stage_volume(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
    assert_eq!(driver.kernel.state().mounts.len(), 1);
}

#[tokio::test]
async fn a_block_volume_is_in_use_from_its_staging_on() {
    let mut driver = Driver::new().await;
    let mut call = driver.stage();
    call.volume_capability = Some(block());
    driver.node.node_stage_volume(call).await.unwrap();
    assert!(driver.kernel.calls().is_empty());
    assert_eq!(driver.stage_of_v(), Some(Stage::InUse));
}

#[tokio::test]
async fn an_option_that_leads_elsewhere_does_nothing() {
    let mut driver = Driver::new().await;
    for (fs, flags) in [
        ("ext4", &["journal_path=/dev/sda"][..]),
        ("xfs", &["noatime,logdev=/dev/sda"]),
        ("", &["X-mount.subdir=x"]),
    ] {
        let mut call = driver.stage();
        call.volume_capability = Some(mount_as(fs, flags));
        let refused = driver.node.node_stage_volume(call).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("is not one that a volume with"), "{refused}");
    }
    assert!(driver.kernel.calls().is_empty());
}

#[tokio::test]
async fn options_are_those_of_the_file_system_that_is_there() {
    let mut driver = Driver::new().await;
    driver.set_stage(Some(Stage::InUse));
    driver.set_content(Content::Filesystem(Filesystem::Xfs));
    let mut call = driver.stage();
    call.volume_capability = Some(mount_as("", &["errors=remount-ro"]));
    let refused = driver.node.node_stage_volume(call.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    call.volume_capability = Some(mount_as("", &["logbsize=256k"]));
    driver.node.node_stage_volume(call).await.unwrap();
    assert_eq!(
        driver.kernel.calls(),
        ["check xfs", "mount xfs logbsize=256k,dax=always"]
    );
}
