//! DeleteVolume, and volumes that are cleared away.

use csi::v1::DeleteVolumeRequest;
use tonic::Code;

use super::setup::{MIB, in_a, makes, refuses, request, setup, silent};
use crate::support::{volume, with_status};

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
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-1".into(),
        ..DeleteVolumeRequest::default()
    };
    setup.controller.delete_volume(delete.clone()).await.unwrap();
    assert!(
        setup
            .server
            .volume("pvc-1")
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
    let capacity = setup.controller.get_capacity(in_a()).await.unwrap().into_inner();
    assert_eq!(
        capacity.available_capacity,
        474 * MIB,
        "the space is taken until it is erased"
    );
    setup.controller.delete_volume(delete).await.unwrap();
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "being deleted on node a")
        .await;
}

#[tokio::test]
async fn deleting_what_does_not_exist_is_fine() {
    let mut setup = setup(makes).await;
    for id in ["pvc-2", "../../nodes/a", "Not An Id"] {
        let delete = DeleteVolumeRequest {
            volume_id: id.into(),
            ..DeleteVolumeRequest::default()
        };
        setup.controller.delete_volume(delete).await.unwrap();
    }
    let none = setup
        .controller
        .delete_volume(DeleteVolumeRequest::default())
        .await
        .unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
}
