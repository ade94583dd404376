//! DeleteVolume, and volumes that are cleared away.

use crds::{CALLED, DELETE_VOLUME, FINALIZER, PmemVolume, UNUSED};
use csi::v1::DeleteVolumeRequest;
use daxfit_operator::index::SharedIndex;
use kube::ResourceExt;
use serde_json::json;
use tonic::{Code, Status};

use super::setup::{MIB, Setup, in_a, makes, refuses, request, setup, setup_with, silent};
use crate::support::{Watched, erasing, index, keeping, persistent_volume, plain_node, volume, with_status};

const PATCH: &str = "PATCH /apis/daxfit.dev/v1alpha1/pmemvolumes/pvc-1";
const DELETE: &str = "DELETE /apis/daxfit.dev/v1alpha1/pmemvolumes/pvc-1";
const CREATE: &str = "POST /apis/daxfit.dev/v1alpha1/pmemvolumes";

async fn delete(setup: &mut Setup, id: &str) -> Result<(), Status> {
    let delete = DeleteVolumeRequest {
        volume_id: id.into(),
        ..DeleteVolumeRequest::default()
    };
    setup.controller.delete_volume(delete).await.map(drop)
}

/// Whether its node erases the volume now, and why it may.
fn erases(volume: &PmemVolume) -> Option<&str> {
    let is_held = volume.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    let is_erased = is_held && volume.metadata.deletion_timestamp.is_some();
    let reason = volume.annotations().get(DELETE_VOLUME).map(String::as_str);
    reason.filter(|_| is_erased)
}

#[tokio::test]
async fn refused_by_the_node_frees_the_name() {
    let mut setup = setup(refuses).await;
    setup
        .refused(
            request(28 * MIB, &["a"]),
            Code::ResourceExhausted,
            "largest extent 14 MiB",
        )
        .await;
    assert_eq!(setup.server.volume("pvc-1"), None);
}

#[tokio::test]
async fn refused_volume_of_an_earlier_call_is_cleared_away() {
    let mut setup = setup(silent).await;
    let refused = serde_json::to_value(refuses(&volume("pvc-1", "b", 28))).unwrap();
    setup.server.add_volume(&with_status(volume("pvc-1", "b", 28), refused));
    setup
        .refused(request(28 * MIB, &["a"]), Code::ResourceExhausted, "node b refused")
        .await;
    assert_eq!(setup.server.volume("pvc-1"), None);
}

#[tokio::test]
async fn deleting_is_aborted_and_stays_until_erased() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    delete(&mut setup, "pvc-1").await.unwrap();
    let capacity = setup.controller.get_capacity(in_a()).await.unwrap().into_inner();
    assert_eq!(
        capacity.available_capacity,
        474 * MIB,
        "the space is taken until it is erased"
    );
    delete(&mut setup, "pvc-1").await.unwrap();
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "being deleted on node a")
        .await;
}

#[tokio::test]
async fn deletion_is_recorded_in_one_write_before_it_happens() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup.server.take_writes();
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), [PATCH, DELETE]);
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), Some(CALLED));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), Vec::<String>::new(), "it is recorded");
}

#[tokio::test]
async fn a_volume_that_is_changed_meanwhile_is_read_again() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup.server.change_after_reads(100);
    let status = delete(&mut setup, "pvc-1").await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{}", status.message());
    assert_eq!(setup.server.volume("pvc-1").unwrap().metadata.finalizers, None);
    setup.server.change_after_reads(2);
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), Some(CALLED));
}

/// The operator died between the two writes.
#[tokio::test]
async fn a_deletion_that_was_begun_is_finished_and_the_volume_handed_to_nobody() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    let mut begun = setup.server.volume("pvc-1").unwrap();
    begun.annotations_mut().insert(DELETE_VOLUME.into(), CALLED.into());
    setup.server.add_volume(&begun);
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "being deleted on node a")
        .await;
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), Some(CALLED));
}

#[tokio::test]
async fn an_object_that_others_hold_after_it_was_deleted_by_hand_is_not_taken_for_a_deleted_volume() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    let mut held = setup.server.volume("pvc-1").unwrap();
    held.finalizers_mut().push("other/one".into());
    setup.server.add_volume(&held);
    setup.server.delete_by_hand("pvc-1");
    let status = delete(&mut setup, "pvc-1").await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("its data is kept"), "{}", status.message());
}

/// Before marks, a living volume had the finalizer.
#[tokio::test]
async fn a_volume_of_an_earlier_version_that_was_deleted_by_hand_is_erased_once_it_is_to_be() {
    let mut setup = setup(makes).await;
    let mut earlier = volume("pvc-1", "a", 28);
    earlier.finalizers_mut().push(FINALIZER.into());
    setup.server.add_volume(&earlier);
    setup.server.delete_by_hand("pvc-1");
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), None);
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), Some(CALLED));
}

/// What the cluster knows may be older than the data: its node decides whether nobody used it.
#[tokio::test]
async fn a_volume_that_is_wanted_elsewhere_is_deleted_as_unused() {
    let mut setup = setup(silent).await;
    setup.server.add_volume(&volume("pvc-1", "a", 28));
    setup.refused(request(28 * MIB, &["b"]), Code::Aborted, "node a").await;
    assert_eq!(erases(&setup.server.volume("pvc-1").unwrap()), Some(UNUSED));
}

/// Its object was deleted by hand, then its claim: DeleteVolume erases all the same.
#[tokio::test]
async fn a_kept_volume_without_object_is_erased() {
    let mut setup = setup(silent).await;
    setup.index.apply(keeping(plain_node("a", 512), "pvc-1", &json!({})));
    setup.index.apply(persistent_volume("pvc-1", "a"));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), [CREATE, DELETE]);
    let written = setup.server.volume("pvc-1").unwrap();
    assert_eq!((erases(&written), written.spec.node.as_str()), (Some(CALLED), "a"));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_volume_whose_bytes_are_being_erased_counts_as_deleted() {
    let mut setup = setup(silent).await;
    setup.index.apply(erasing(plain_node("a", 512), "pvc-1"));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

/// Success would be for ever: the PersistentVolume goes, and with it the last that names the data.
#[tokio::test]
async fn a_volume_whose_node_has_not_noticed_that_its_object_is_gone_is_not_taken_for_deleted() {
    let mut setup = setup(silent).await;
    let mut node = plain_node("a", 512);
    node.status.as_mut().unwrap().regions[0].volumes.push("pvc-1".into());
    setup.index.apply(node);
    let status = delete(&mut setup, "pvc-1").await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("node a"), "{}", status.message());
}

/// One watch may be further behind than another: none has shown the PersistentVolume or what the node reports by now.
#[tokio::test]
async fn a_volume_that_no_watch_has_shown_yet_is_not_taken_for_deleted() {
    let mut setup = setup(silent).await;
    setup.server.add_persistent_volume("pvc-1", "a");
    setup
        .server
        .add_report(&keeping(plain_node("a", 512), "pvc-1", &json!({})));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), [CREATE, DELETE]);
    let written = setup.server.volume("pvc-1").unwrap();
    assert_eq!((erases(&written), written.spec.node.as_str()), (Some(CALLED), "a"));
}

/// All objects were deleted with their kinds and the drivers have not started since, or a region is away, or the report is from
/// before there was the volume.
#[tokio::test]
async fn a_volume_that_its_node_does_not_show_is_looked_for_on_the_node() {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "d"}});
    for report in [None, Some(plain_node("d", 512))] {
        let mut setup = setup(silent).await;
        setup.index.apply(persistent_volume("pvc-1", "d"));
        setup.server.store("/api/v1/nodes/d".into(), node.clone());
        if let Some(report) = report {
            setup.index.apply(report);
        }
        delete(&mut setup, "pvc-1").await.unwrap();
        assert_eq!(setup.server.take_writes(), [CREATE, DELETE]);
        let written = setup.server.volume("pvc-1").unwrap();
        assert_eq!((erases(&written), written.spec.node.as_str()), (Some(CALLED), "d"));
        assert!(written.is_kept(), "no namespace is made for it");
    }
}

#[tokio::test]
async fn a_volume_on_a_node_that_is_gone_counts_as_deleted() {
    let mut setup = setup(silent).await;
    setup.index.apply(persistent_volume("pvc-1", "d"));
    delete(&mut setup, "pvc-1").await.unwrap();
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn a_volume_that_is_there_twice_is_not_erased() {
    let mut setup = setup(silent).await;
    for node in ["a", "b"] {
        setup.index.apply(keeping(plain_node(node, 512), "pvc-1", &json!({})));
    }
    let status = delete(&mut setup, "pvc-1").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("on nodes a, b"), "{}", status.message());
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn before_the_cluster_is_known_a_missing_object_means_nothing() {
    let mut setup = setup_with(SharedIndex::default(), silent).await;
    assert_eq!(delete(&mut setup, "pvc-1").await.unwrap_err().code(), Code::Unavailable);
    let mut setup = setup_with(index(vec![], vec![], vec![]), silent).await;
    delete(&mut setup, "pvc-1").await.unwrap();
}

/// Nobody would name what somebody made under it by hand any more.
#[tokio::test]
async fn what_cannot_be_an_id_and_is_one_is_not_taken_for_deleted() {
    let mut setup = setup(silent).await;
    setup.index.apply(persistent_volume("a.b", "a"));
    setup.index.apply(volume("c.d", "a", 28));
    for id in ["a.b", "c.d"] {
        let status = delete(&mut setup, id).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("ndctl"), "{}", status.message());
    }
    let mut starting = setup_with(SharedIndex::default(), silent).await;
    assert_eq!(
        delete(&mut starting, "a.b").await.unwrap_err().code(),
        Code::Unavailable
    );
}

#[tokio::test]
async fn deleting_what_does_not_exist_is_fine() {
    let mut setup = setup(makes).await;
    for id in ["pvc-2", "../../nodes/a", "Not An Id"] {
        delete(&mut setup, id).await.unwrap();
    }
    assert_eq!(delete(&mut setup, "").await.unwrap_err().code(), Code::InvalidArgument);
}
