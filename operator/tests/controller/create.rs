//! CreateVolume: what becomes of a call.

use std::time::Duration;

use crds::{DELETE_VOLUME, KEPT_IN, PmemNode, PmemVolume, UNUSED, VolumeMode};
use csi::RpcError;
use csi::v1::{CreateVolumeRequest, DeleteVolumeRequest, ProbeRequest};
use daxfit_operator::controller::CreateError;
use daxfit_operator::index::SharedIndex;
use kube::ResourceExt;
use serde_json::json;
use tonic::Code;

use crate::support::{Watched, erasing, keeping, plain_node, volume, with_status};

use super::setup::{
    MIB, Setup, TIME_LIMIT, in_a, lost, makes, meets_another, request, setup, setup_with, silent, topology,
};

#[tokio::test]
async fn bound() {
    let mut setup = setup(makes).await;
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!((volume.volume_id.as_str(), volume.capacity_bytes), ("pvc-1", 28 * MIB));
    assert_eq!(volume.accessible_topology, topology(&["a"]));
    assert_eq!(
        volume.volume_context.get("csi.daxfit.dev/mode").map(String::as_str),
        Some("fsdax")
    );
    let written = setup.server.volume("pvc-1").unwrap();
    assert_eq!(written.metadata.finalizers, None, "a living volume is not held");
    assert_eq!(
        (written.spec.node.as_str(), written.spec.required.get()),
        ("a", 28 * MIB)
    );
    assert_eq!(written.spec.claim.unwrap().name, "claim");
}

#[tokio::test]
async fn retry_finds_it() {
    let mut setup = setup(makes).await;
    let first = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup.server.take_writes();
    assert_eq!(setup.create(request(28 * MIB, &["a"])).await.unwrap(), first);
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

/// The watch may show the volume long after it was written.
#[tokio::test]
async fn the_space_of_a_volume_stays_taken_if_its_caller_is_gone() {
    let setup = setup(silent).await;
    let call = {
        let (service, ask) = (setup.service.clone(), request(28 * MIB, &["a"]));
        tokio::spawn(async move { service.create_whoever_waits(&ask, TIME_LIMIT).await })
    };
    while setup.server.volume("pvc-1").is_none() {
        tokio::task::yield_now().await;
    }
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert!(setup.index.read(|index| index.newest_volume("pvc-1").is_some()));
}

#[tokio::test]
async fn a_slow_node_is_waited_for_and_the_object_stays() {
    let setup = setup(silent).await;
    let ask = request(28 * MIB, &["a"]);
    let late = setup.service.create(&ask, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(late, CreateError::Deadline { .. }), "{late}");
    assert_eq!(late.code(), Code::DeadlineExceeded);

    let retry = {
        let (service, ask) = (setup.service.clone(), ask.clone());
        tokio::spawn(async move { service.create(&ask, TIME_LIMIT).await })
    };
    let written = setup.server.volume("pvc-1").unwrap();
    let status = Some(makes(&written));
    setup.index.apply(PmemVolume { status, ..written });
    assert_eq!(retry.await.unwrap().unwrap().capacity_bytes, 28 * MIB);
}

#[tokio::test]
async fn another_call_at_work_is_aborted() {
    let setup = setup(silent).await;
    let ask = request(28 * MIB, &["a"]);
    let first = {
        let (service, ask) = (setup.service.clone(), ask.clone());
        tokio::spawn(async move { service.create(&ask, TIME_LIMIT).await })
    };
    setup.index.wait_for(|index| index.volume("pvc-1").map(|_| ())).await;
    let second = setup.service.create(&ask, TIME_LIMIT).await.unwrap_err();
    assert!(matches!(second, CreateError::Busy(_)), "{second}");
    let delete = DeleteVolumeRequest {
        volume_id: "pvc-1".into(),
        ..DeleteVolumeRequest::default()
    };
    assert_eq!(setup.service.delete(&delete).await.unwrap_err().code(), Code::Aborted);
    setup.stop.cancel();
    assert_eq!(first.await.unwrap().unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn an_api_server_that_is_away_is_not_an_answer() {
    let mut setup = setup(makes).await;
    setup.server.fail(Some(http::StatusCode::SERVICE_UNAVAILABLE));
    setup
        .refused(
            request(28 * MIB, &["a"]),
            Code::Unavailable,
            "cannot create volume pvc-1 now",
        )
        .await;
    let free = setup.controller.get_capacity(in_a()).await.unwrap().into_inner();
    assert_eq!(
        free.available_capacity,
        502 * MIB,
        "what was not written takes no space"
    );
    setup.server.fail(None);
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
}

/// The watch has not shown yet that there is space again.
#[tokio::test]
async fn what_is_refused_by_an_old_report_is_looked_at_again() {
    let mut setup = setup(makes).await;
    let newer = newer_report(&setup, 128);
    let index = setup.index.clone();
    let (refused, ()) = tokio::join!(setup.create(request(100 * MIB, &["b"])), async {
        tokio::task::yield_now().await;
        index.apply(newer);
    });
    assert_eq!(refused.unwrap().accessible_topology, topology(&["b"]));
    // What the watch has shown is final.
    setup
        .refused(
            another(request(200 * MIB, &["b"])),
            Code::ResourceExhausted,
            "node b: asked 200 MiB",
        )
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_while_the_watches_are_behind() {
    let mut setup = setup(makes).await;
    newer_report(&setup, 64);
    setup
        .refused(
            request(100 * MIB, &["b"]),
            Code::Aborted,
            "has not seen yet what there is on node b",
        )
        .await;
}

/// What node "b" has reported, and the watch has not shown.
fn newer_report(setup: &Setup, mib: u32) -> PmemNode {
    let mut newer = plain_node("b", mib);
    newer.metadata.resource_version = Some("2".into());
    setup.server.add_report(&newer);
    newer
}

/// The same for another claim.
fn another(mut request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.name = "pvc-2".into();
    request
}

/// external-provisioner died before it wrote the PersistentVolume, and the object was deleted by hand.
#[tokio::test]
async fn a_kept_volume_is_given_to_its_claim_and_no_second_one_made() {
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    let volume = setup.create(request(28 * MIB, &["a", "c"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["c"]));
    assert_eq!(setup.server.volume("pvc-1").unwrap().spec.node, "c");
}

/// Its node is full, so kube-scheduler never chooses it: the pod would wait for ever (found by the simulation).
#[tokio::test]
async fn a_claim_gets_its_data_wherever_it_is() {
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    for _ in 0..2 {
        let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
        assert_eq!(volume.accessible_topology, topology(&["c"]));
    }
}

#[tokio::test]
async fn a_kept_volume_that_cannot_be_what_is_asked_for_is_not_replaced() {
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    setup
        .refused(request(29 * MIB, &["c"]), Code::AlreadyExists, "it has 28 MiB")
        .await;
    setup.index.apply(keeping(plain_node("b", 128), "pvc-1", &json!({})));
    setup
        .refused(request(28 * MIB, &["c"]), Code::FailedPrecondition, "on nodes b, c")
        .await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

/// etcd was restored to before there was the PersistentVolume, and the class was made anew with another mode.
#[tokio::test]
async fn a_claim_gets_its_data_whatever_its_class_says_by_now() {
    let mut setup = setup(makes).await;
    let sector = json!({"mode": "sector"});
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &sector));
    for _ in 0..2 {
        setup.create(request(28 * MIB, &["a"])).await.unwrap();
        let volume = setup.server.volume("pvc-1").unwrap();
        assert_eq!((&*volume.spec.node, volume.spec.mode), ("c", VolumeMode::Sector));
        assert_eq!(volume.annotations()[KEPT_IN], "r0");
    }
}

/// The class was made anew with other parameters, and the object of the volume deleted by hand.
#[tokio::test]
async fn a_kept_volume_that_nobody_used_and_that_is_not_what_is_asked_for_is_replaced() {
    let mut setup = setup(makes).await;
    let sector = json!({"mode": "sector", "unused": true});
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &sector));
    setup
        .refused(
            request(28 * MIB, &["c"]),
            Code::Aborted,
            "it has mode sector; nobody used it",
        )
        .await;
    let written = setup.server.volume("pvc-1").unwrap();
    assert_eq!(written.annotations()[DELETE_VOLUME], UNUSED);
    assert!(written.metadata.deletion_timestamp.is_some(), "its node erases it");

    let mut setup = self::setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &sector));
    setup.server.add_persistent_volume("pvc-1", "c");
    setup
        .refused(request(28 * MIB, &["c"]), Code::AlreadyExists, "it has mode sector")
        .await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

/// etcd was restored to before there was the volume, and the report of its node with it (found by the simulation).
#[tokio::test]
async fn a_report_of_the_past_hides_no_volume() {
    let reported = |revision, node: PmemNode| {
        let mut node = node;
        node.status.as_mut().unwrap().layout_revision = revision;
        node
    };
    let mut setup = setup(makes).await;
    setup
        .index
        .apply(reported(9, keeping(plain_node("c", 128), "pvc-1", &json!({}))));
    let restored = reported(8, plain_node("c", 128));
    // A list that is repeated shows it again.
    for _ in 0..2 {
        setup.index.apply(restored.clone());
        setup.refused(request(28 * MIB, &["a"]), Code::Aborted, "node c").await;
    }
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());

    setup
        .index
        .apply(reported(9, keeping(plain_node("c", 128), "pvc-1", &json!({}))));
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["c"]));
}

/// etcd was restored to when the volume was to be made on another node than it was in the end (found by the simulation).
#[tokio::test]
async fn an_object_of_an_earlier_try_is_not_handed_out_beside_data_on_another_node() {
    let mut setup = setup(makes).await;
    let earlier = volume("pvc-1", "a", 28);
    let ready = serde_json::to_value(makes(&earlier)).unwrap();
    setup.server.add_volume(&with_status(earlier, ready));
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "node c has data of it")
        .await;
    let earlier = setup.server.volume("pvc-1").unwrap();
    assert_eq!(earlier.annotations()[DELETE_VOLUME], UNUSED, "the device decides");
    assert!(earlier.metadata.deletion_timestamp.is_some());
}

/// etcd was restored to when a volume was ready that was made anew on another node since (found by the simulation).
#[tokio::test]
async fn a_volume_whose_namespace_is_gone_is_not_handed_out() {
    let mut setup = setup(makes).await;
    let of_the_past = volume("pvc-1", "a", 28);
    let status = serde_json::to_value(lost(&of_the_past)).unwrap();
    setup.server.add_volume(&with_status(of_the_past, status));
    setup
        .refused(request(28 * MIB, &["a"]), Code::Aborted, "its namespace is gone")
        .await;
    let gone = setup.server.volume("pvc-1").unwrap();
    assert_eq!(gone.annotations()[DELETE_VOLUME], UNUSED, "the device decides");
    assert!(gone.metadata.deletion_timestamp.is_some());
}

/// external-provisioner sends what is required only.
#[tokio::test]
async fn a_volume_has_no_more_than_the_limit_of_its_claim() {
    const CLAIM: &str = "/api/v1/namespaces/default/persistentvolumeclaims/claim";
    let claim = |uid: &str, limit: &str| {
        json!({
            "metadata": { "namespace": "default", "name": "claim", "uid": uid },
            "spec": { "resources": { "requests": { "storage": "27Mi" }, "limits": { "storage": limit } } },
        })
    };
    // 27 MiB need a namespace with 28 MiB usable.
    for (uid, limit, refused) in [
        ("1", "27Mi", Some((Code::OutOfRange, "raise the limit to 28 MiB"))),
        (
            "1",
            "26Mi",
            Some((Code::InvalidArgument, "raise the limit or lower the request")),
        ),
        ("1", "28Mi", None),
        ("another", "27Mi", None),
    ] {
        let mut setup = setup(makes).await;
        setup.server.store(CLAIM.into(), claim(uid, limit));
        match refused {
            Some((code, text)) => setup.refused(request(27 * MIB, &["a"]), code, text).await,
            None => _ = setup.create(request(27 * MIB, &["a"])).await.unwrap(),
        }
    }
}

/// What a node reports after a report of the past is of now, whatever its number: its driver began to count again.
#[tokio::test]
async fn a_volume_that_is_gone_after_a_restore_is_made_anew() {
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    for (revision, mib) in [(3, 128), (4, 256)] {
        let mut node = plain_node("c", mib);
        node.status.as_mut().unwrap().layout_revision = revision;
        setup.index.apply(node);
    }
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["a"]));
}

/// etcd was restored to before there was the volume, which was being made a second time by then. Nobody has data in any.
#[tokio::test]
async fn of_several_that_nobody_used_any_will_do_and_one_elsewhere_is_no_reason_to_wait() {
    let unused = || json!({"unused": true});
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &unused()));
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["a"]), "c erases it then");

    let mut setup = self::setup(makes).await;
    setup.index.apply(keeping(plain_node("b", 128), "pvc-1", &unused()));
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &unused()));
    setup.create(request(28 * MIB, &["a", "b", "c"])).await.unwrap();

    let mut setup = self::setup(makes).await;
    setup.index.apply(keeping(plain_node("b", 128), "pvc-1", &unused()));
    setup.index.apply(keeping(plain_node("c", 128), "pvc-1", &json!({})));
    let volume = setup.create(request(28 * MIB, &["b", "c"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["c"]), "data counts more");
}

#[tokio::test]
async fn a_namespace_that_is_not_enabled_says_neither_mode_nor_size() {
    let mut setup = setup(makes).await;
    setup.index.apply(keeping(
        plain_node("c", 128),
        "pvc-1",
        &json!({"mode": null, "usable": null}),
    ));
    setup.create(request(28 * MIB, &["c"])).await.unwrap();
}

#[tokio::test]
async fn a_volume_may_be_made_while_an_earlier_one_of_its_name_is_erased() {
    let mut setup = setup(makes).await;
    setup.index.apply(erasing(plain_node("a", 512), "pvc-1"));
    let volume = setup.create(request(28 * MIB, &["a"])).await.unwrap();
    assert_eq!(volume.accessible_topology, topology(&["a"]));
}

#[tokio::test]
async fn an_object_that_vanishes_ends_the_waiting_at_once() {
    let setup = setup(silent).await;
    let call = {
        let (service, ask) = (setup.service.clone(), request(28 * MIB, &["a"]));
        tokio::spawn(async move { service.create(&ask, TIME_LIMIT).await })
    };
    setup.index.wait_for(|index| index.volume("pvc-1").map(|_| ())).await;
    tokio::task::yield_now().await;
    setup.server.delete_by_hand("pvc-1");
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CreateError::Deleted(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_decided_before_the_cluster_is_known() {
    let mut setup = setup_with(SharedIndex::default(), makes).await;
    setup
        .refused(request(28 * MIB, &["a"]), Code::Unavailable, "still reading")
        .await;
    let ready = setup.identity.probe(ProbeRequest {}).await.unwrap().into_inner().ready;
    assert_eq!(ready, Some(false));
    assert_eq!(
        setup.controller.get_capacity(in_a()).await.unwrap_err().code(),
        Code::Unavailable
    );
}

/// A call for a claim, whose class has this mode.
fn of_claim(mode: &str) -> CreateVolumeRequest {
    let mut request = request(28 * MIB, &["a"]);
    for (key, value) in [
        ("csi.storage.k8s.io/pvc/namespace", "default"),
        ("csi.storage.k8s.io/pvc/name", "data"),
        ("csi.daxfit.dev/mode", mode),
    ] {
        request.parameters.insert(key.into(), value.into());
    }
    request
}

/// Its class was deleted and made anew with another mode before the volume was bound: the claim would wait for ever.
#[tokio::test]
async fn what_nobody_used_is_replaced_when_the_class_of_its_claim_is_another() {
    let mut setup = setup(makes).await;
    setup.create(of_claim("fsdax")).await.unwrap();
    let message = "volume pvc-1 on node a is not what is wanted now: it has mode fsdax";
    setup.refused(of_claim("sector"), Code::Aborted, message).await;
    let replaced = setup.server.volume("pvc-1").unwrap();
    assert!(replaced.metadata.deletion_timestamp.is_some());
}

/// Its object was deleted by hand and its class made anew before the node reported what it keeps (found by the simulation).
#[tokio::test]
async fn a_volume_that_meets_another_of_its_name_is_replaced() {
    let mut setup = setup(meets_another).await;
    setup
        .refused(of_claim("sector"), Code::Aborted, "namespace n0.0 has mode Fsdax")
        .await;
    let replaced = setup.server.volume("pvc-1").unwrap();
    assert!(replaced.metadata.deletion_timestamp.is_some());
    assert_eq!(replaced.annotations()[DELETE_VOLUME], UNUSED, "the device decides");
}

#[tokio::test]
async fn what_a_persistent_volume_stands_for_is_not_replaced() {
    let mut setup = setup(makes).await;
    setup.create(of_claim("fsdax")).await.unwrap();
    setup.server.add_persistent_volume("pvc-1", "a");
    setup
        .refused(of_claim("sector"), Code::AlreadyExists, "it has mode fsdax")
        .await;
    let stays = setup.server.volume("pvc-1").unwrap();
    assert_eq!(stays.metadata.deletion_timestamp, None);
}
