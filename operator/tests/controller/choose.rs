//! CreateVolume: on which node, and whether there is room.

use csi::RpcError;
use csi::v1::CreateVolumeRequest;
use placement::Policy;
use tonic::Code;

use super::setup::{MIB, TIME_LIMIT, makes, request, setup, silent, topology};
use crate::support::{Watched, csi_node};

#[tokio::test]
async fn does_not_fit_writes_nothing() {
    let mut setup = setup(makes).await;
    setup
        .refused(
            request(100 * MIB, &["b"]),
            Code::ResourceExhausted,
            "asked 100 MiB; largest extent 62 MiB",
        )
        .await;
    setup
        .refused(
            request(900 * MIB, &["a", "b"]),
            Code::ResourceExhausted,
            "none of 2 nodes; nearest is node a",
        )
        .await;
    setup
        .refused(
            request(1, &["unknown"]),
            Code::ResourceExhausted,
            "node unknown has not reported",
        )
        .await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn immediate_binding_picks_the_best_fit() {
    let mut setup = setup(makes).await;
    let any = setup.create(request(50 * MIB, &["a", "b", "c"])).await.unwrap();
    assert_eq!(any.accessible_topology, topology(&["b"]));
    let mut anywhere = request(100 * MIB, &[]);
    anywhere.name = "pvc-2".into();
    anywhere.accessibility_requirements = None;
    assert_eq!(
        setup.create(anywhere).await.unwrap().accessible_topology,
        topology(&["c"])
    );
    let mut preferred = request(50 * MIB, &["a", "b", "c"]);
    preferred.name = "pvc-3".into();
    preferred.accessibility_requirements.as_mut().unwrap().preferred = topology(&["a"]);
    assert_eq!(
        setup.create(preferred).await.unwrap().accessible_topology,
        topology(&["a"])
    );
}

#[tokio::test]
async fn immediate_binding_spreads_if_told_to() {
    let setup = setup(makes).await;
    let service = setup.service.clone().with_policy(Policy::Spread);
    let volume = service
        .create(&request(50 * MIB, &["a", "b", "c"]), TIME_LIMIT)
        .await
        .unwrap();
    assert_eq!(volume.accessible_topology, topology(&["a"]));
}

#[tokio::test]
async fn calls_at_the_same_time_never_count_on_the_same_bytes() {
    let setup = setup(silent).await;
    let ask = |name: &str| CreateVolumeRequest {
        name: name.into(),
        ..request(50 * MIB, &["b", "c"])
    };
    let calls = ["pvc-1", "pvc-2", "pvc-3"].map(|name| {
        let (service, ask) = (setup.service.clone(), ask(name));
        tokio::spawn(async move { service.create(&ask, TIME_LIMIT).await })
    });
    let all = |index: &daxfit_operator::index::Index| {
        (index.volumes().count() == 3).then(|| index.volumes().map(|v| v.spec.node.clone()).collect::<Vec<_>>())
    };
    let mut nodes = setup.index.wait_for(all).await;
    nodes.sort();
    assert_eq!(nodes, ["b", "c", "c"]);
    let full = setup.service.create(&ask("pvc-4"), TIME_LIMIT).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted, "{full}");
    setup.stop.cancel();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code(), Code::Unavailable);
    }
}

#[tokio::test]
async fn wanted_on_another_node_moves_what_nobody_uses() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup
        .refused(
            request(28 * MIB, &["b"]),
            Code::Aborted,
            "volume pvc-1 on node a is not what is wanted now: it is wanted on another node",
        )
        .await;
    assert!(
        setup
            .server
            .volume("pvc-1")
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    );
}

#[tokio::test]
async fn wanted_on_another_node_never_moves_what_a_persistent_volume_stands_for() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup.server.add_persistent_volume("pvc-1", "a");
    setup
        .refused(
            request(28 * MIB, &["b"]),
            Code::FailedPrecondition,
            "PersistentVolume pvc-1 stands for it",
        )
        .await;
    assert_eq!(setup.server.volume("pvc-1").unwrap().metadata.deletion_timestamp, None);
}

#[tokio::test]
async fn nothing_is_made_where_there_is_no_driver() {
    let mut setup = setup(makes).await;
    setup.index.apply(csi_node("b", false));
    setup
        .refused(
            request(50 * MIB, &["b"]),
            Code::ResourceExhausted,
            "node b has not reported persistent memory with a driver that answers",
        )
        .await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
    let elsewhere = setup.create(request(50 * MIB, &["b", "c"])).await.unwrap();
    assert_eq!(elsewhere.accessible_topology, topology(&["c"]));
}
