//! The services' names and capabilities.

use std::sync::Arc;

use csi::v1::node_service_capability::Type;
use csi::v1::node_service_capability::rpc::Type as Rpc;
use csi::v1::plugin_capability::service::Type as ServiceType;
use csi::v1::plugin_capability::{Service, Type as PluginType};
use csi::v1::{
    GetPluginCapabilitiesRequest, GetPluginInfoRequest, NodeExpandVolumeRequest, NodeGetCapabilitiesRequest,
    NodeGetInfoRequest, ProbeRequest,
};
use tonic::Code;

use super::driver::Driver;

#[tokio::test]
async fn says_who_it_is() {
    let mut driver = Driver::new().await;
    let info = driver.identity.get_plugin_info(GetPluginInfoRequest {});
    let info = info.await.unwrap().into_inner();
    assert_eq!(info.name, "csi.daxfit.dev");
    assert_eq!(info.vendor_version, env!("CARGO_PKG_VERSION"));
    let offers = driver.identity.get_plugin_capabilities(GetPluginCapabilitiesRequest {});
    let offers = offers.await.unwrap().into_inner().capabilities;
    let services = [
        ServiceType::ControllerService,
        ServiceType::VolumeAccessibilityConstraints,
    ];
    let expected = services.map(|service| Some(PluginType::Service(Service { r#type: service.into() })));
    assert!(offers.iter().map(|offer| &offer.r#type).eq(&expected), "{offers:?}");
}

#[tokio::test]
async fn is_ready_once_devices_could_be_listed() {
    let mut driver = Driver::new().await;
    for (broken, ready) in [(true, false), (false, true), (true, true)] {
        *driver.devices.broken.lock().unwrap() = broken;
        let probe = driver.identity.probe(ProbeRequest {}).await.unwrap();
        assert_eq!(probe.into_inner().ready, Some(ready));
    }
}

/// The kubelet starts a driver anew that does not answer, and the listing with it.
#[tokio::test]
#[expect(
    clippy::await_holding_lock,
    reason = "it holds up the listing, which has a thread of its own"
)]
async fn answers_while_the_devices_are_being_listed() {
    let mut driver = Driver::new().await;
    let devices = Arc::clone(&driver.devices);
    let held_up = devices.broken.lock().unwrap();
    for _ in 0..2 {
        let probe = driver.identity.probe(ProbeRequest {}).await.unwrap();
        assert_eq!(probe.into_inner().ready, Some(false));
    }
    drop(held_up);
}

#[tokio::test]
async fn says_where_it_is() {
    let mut driver = Driver::new().await;
    let info = driver.node.node_get_info(NodeGetInfoRequest {}).await;
    let info = info.unwrap().into_inner();
    assert_eq!(info.node_id, "n1");
    assert_eq!(info.max_volumes_per_node, 0);
    let segments = info.accessible_topology.unwrap().segments;
    assert_eq!(segments, [("topology.csi.daxfit.dev/node".into(), "n1".into())].into());
}

#[tokio::test]
async fn says_what_it_can_do() {
    let mut driver = Driver::new().await;
    let offers = driver.node.node_get_capabilities(NodeGetCapabilitiesRequest {});
    let offers = offers.await.unwrap().into_inner().capabilities;
    let rpcs: Vec<Rpc> = offers
        .iter()
        .map(|offer| match offer.r#type.as_ref().unwrap() {
            Type::Rpc(rpc) => rpc.r#type(),
        })
        .collect();
    let expected = [
        Rpc::StageUnstageVolume,
        Rpc::GetVolumeStats,
        Rpc::VolumeCondition,
        Rpc::SingleNodeMultiWriter,
    ];
    assert_eq!(rpcs, expected);
    let grow = driver.node.node_expand_volume(NodeExpandVolumeRequest::default());
    assert_eq!(grow.await.unwrap_err().code(), Code::Unimplemented);
}
