//! What there is: capacity, lists, conditions, confirmed uses.

use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::{
    ControllerGetVolumeRequest, CreateVolumeRequest, DeleteVolumeRequest, GetCapacityRequest, ListVolumesRequest,
    ValidateVolumeCapabilitiesRequest,
};
use tonic::Code;

use super::setup::{MIB, capability, in_a, makes, request, setup, topology};
use crate::support::{Watched, plain_node};

#[tokio::test]
async fn capacity_is_the_largest_volume() {
    let mut setup = setup(makes).await;
    let anywhere = setup
        .controller
        .get_capacity(GetCapacityRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (anywhere.available_capacity, anywhere.maximum_volume_size),
        (502 * MIB, Some(502 * MIB))
    );
    let mut xfs = in_a();
    xfs.accessible_topology = topology(&["b"]).pop();
    xfs.volume_capabilities = vec![capability("xfs", Mode::SingleNodeWriter)];
    let xfs = setup.controller.get_capacity(xfs).await.unwrap().into_inner();
    assert_eq!((xfs.available_capacity, xfs.minimum_volume_size), (0, Some(300 * MIB)));
    let bad = GetCapacityRequest {
        parameters: [("x".into(), "y".into())].into(),
        ..in_a()
    };
    assert_eq!(
        setup.controller.get_capacity(bad).await.unwrap_err().code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn volumes_are_listed_in_pages() {
    let mut setup = setup(makes).await;
    for name in ["pvc-1", "pvc-2", "pvc-3"] {
        setup
            .create(CreateVolumeRequest {
                name: name.into(),
                ..request(MIB, &["a"])
            })
            .await
            .unwrap();
    }
    let mut ids = Vec::new();
    let mut token = String::new();
    loop {
        let page = ListVolumesRequest {
            max_entries: 2,
            starting_token: token,
        };
        let page = setup.controller.list_volumes(page).await.unwrap().into_inner();
        ids.extend(page.entries.into_iter().map(|entry| entry.volume.unwrap().volume_id));
        token = page.next_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, ["pvc-1", "pvc-2", "pvc-3"]);
    let bad = ListVolumesRequest {
        starting_token: "invalid-token".into(),
        ..ListVolumesRequest::default()
    };
    assert_eq!(
        setup.controller.list_volumes(bad).await.unwrap_err().code(),
        Code::Aborted
    );
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-2".into(),
        ..DeleteVolumeRequest::default()
    };
    setup.controller.delete_volume(delete).await.unwrap();
    let rest = setup
        .controller
        .list_volumes(ListVolumesRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(rest.entries.len(), 2);
}

#[tokio::test]
async fn a_volume_whose_node_is_gone_is_abnormal() {
    let mut setup = setup(makes).await;
    setup.create(request(MIB, &["a"])).await.unwrap();
    let get = ControllerGetVolumeRequest {
        volume_id: "pvc-1".into(),
    };
    let abnormal =
        |answer: csi::v1::ControllerGetVolumeResponse| answer.status.unwrap().volume_condition.unwrap().abnormal;
    let answer = setup.controller.controller_get_volume(get.clone()).await.unwrap();
    assert!(!abnormal(answer.into_inner()));
    setup.index.delete(&plain_node("a", 512));
    let answer = setup.controller.controller_get_volume(get).await.unwrap();
    assert!(abnormal(answer.into_inner()));
    let orphaned = setup.index.read(daxfit_operator::events::orphaned_volumes::orphaned);
    let orphaned: Vec<_> = orphaned
        .iter()
        .map(|volume| (volume.node.as_str(), volume.deleting))
        .collect();
    assert_eq!(orphaned, [("a", false)]);
}

#[tokio::test]
async fn uses_are_confirmed_for_volumes_that_exist() {
    let mut setup = setup(makes).await;
    let ask = |mode| ValidateVolumeCapabilitiesRequest {
        volume_id: "pvc-1".into(),
        volume_capabilities: vec![capability("ext4", mode)],
        ..ValidateVolumeCapabilitiesRequest::default()
    };
    let missing = setup
        .controller
        .validate_volume_capabilities(ask(Mode::SingleNodeWriter))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    setup.create(request(MIB, &["a"])).await.unwrap();
    let yes = setup
        .controller
        .validate_volume_capabilities(ask(Mode::SingleNodeMultiWriter))
        .await
        .unwrap();
    assert!(yes.into_inner().confirmed.is_some());
    let no = setup
        .controller
        .validate_volume_capabilities(ask(Mode::MultiNodeReaderOnly))
        .await
        .unwrap()
        .into_inner();
    assert!(no.confirmed.is_none() && no.message.contains("ReadOnlyMany"));
    let nothing = ValidateVolumeCapabilitiesRequest {
        volume_capabilities: vec![],
        ..ask(Mode::SingleNodeWriter)
    };
    assert_eq!(
        setup
            .controller
            .validate_volume_capabilities(nothing)
            .await
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
}
