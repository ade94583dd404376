//! The bytes on the wire are those of the CSI specification.

use std::collections::HashMap;

use csi::registration::{PluginInfo, RegistrationStatus};
use csi::v1::controller_service_capability::rpc::Type as ControllerRpc;
use csi::v1::node_service_capability::rpc::Type as NodeRpc;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use csi::v1::volume_usage::Unit;
use csi::v1::{
    CapacityRange, CreateVolumeRequest, GetCapacityResponse, NodeExpandVolumeRequest, NodeGetVolumeStatsResponse,
    NodePublishVolumeRequest, ProbeResponse, Topology, TopologyRequirement, VolumeCapability, VolumeCondition,
    VolumeUsage,
};
use prost::Message;

/// A length-delimited field below number 16 with a payload below 128 bytes.
fn field(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap_or(u8::MAX);
    assert!(length < 128, "one byte of length");
    [&[number << 3 | 2, length], payload].concat()
}

/// A varint field below number 16 with a value below 128.
fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn entry(number: u8, key: &str, value: &str) -> Vec<u8> {
    let pair = [field(1, key.as_bytes()), field(2, value.as_bytes())].concat();
    field(number, &pair)
}

fn map(key: &str, value: &str) -> HashMap<String, String> {
    HashMap::from([(key.into(), value.into())])
}

fn block() -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Block(BlockVolume {})),
        access_mode: Some(AccessMode {
            mode: Mode::SingleNodeSingleWriter.into(),
        }),
    }
}

fn block_wire() -> Vec<u8> {
    [field(1, &[]), field(3, &number(1, 6))].concat()
}

#[test]
fn create_volume_request() {
    let place = Topology {
        segments: map("t", "n"),
    };
    let request = CreateVolumeRequest {
        name: "pvc".into(),
        capacity_range: Some(CapacityRange {
            required_bytes: 100,
            limit_bytes: 120,
        }),
        volume_capabilities: vec![block()],
        parameters: map("p", "1"),
        secrets: map("s", "2"),
        volume_content_source: None,
        accessibility_requirements: Some(TopologyRequirement {
            requisite: vec![place.clone()],
            preferred: vec![place],
        }),
        mutable_parameters: map("m", "3"),
    };
    let segments = entry(1, "t", "n");
    let expected = [
        field(1, b"pvc"),
        field(2, &[number(1, 100), number(2, 120)].concat()),
        field(3, &block_wire()),
        entry(4, "p", "1"),
        entry(5, "s", "2"),
        field(7, &[field(1, &segments), field(2, &segments)].concat()),
        entry(8, "m", "3"),
    ];
    assert_eq!(request.encode_to_vec(), expected.concat());
}

#[test]
fn mount_capability() {
    let mount = VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: "xfs".into(),
            mount_flags: vec!["noatime".into()],
            volume_mount_group: "1000".into(),
        })),
        access_mode: None,
    };
    let inner = [field(1, b"xfs"), field(2, b"noatime"), field(3, b"1000")].concat();
    assert_eq!(mount.encode_to_vec(), field(2, &inner));
}

#[test]
fn node_publish_volume_request() {
    let request = NodePublishVolumeRequest {
        volume_id: "v".into(),
        publish_context: map("p", "1"),
        staging_target_path: "/s".into(),
        target_path: "/t".into(),
        volume_capability: Some(block()),
        readonly: true,
        secrets: map("s", "2"),
        volume_context: map("c", "3"),
    };
    let expected = [
        field(1, b"v"),
        entry(2, "p", "1"),
        field(3, b"/s"),
        field(4, b"/t"),
        field(5, &block_wire()),
        number(6, 1),
        entry(7, "s", "2"),
        entry(8, "c", "3"),
    ];
    assert_eq!(request.encode_to_vec(), expected.concat());
}

#[test]
fn node_get_volume_stats_response() {
    let response = NodeGetVolumeStatsResponse {
        usage: vec![VolumeUsage {
            available: 1,
            total: 3,
            used: 2,
            unit: Unit::Bytes.into(),
        }],
        volume_condition: Some(VolumeCondition {
            abnormal: true,
            message: "bad block".into(),
        }),
    };
    let usage = [number(1, 1), number(2, 3), number(3, 2), number(4, 1)].concat();
    let condition = [number(1, 1), field(2, b"bad block")].concat();
    let expected = [field(1, &usage), field(2, &condition)].concat();
    assert_eq!(response.encode_to_vec(), expected);
}

#[test]
fn node_expand_volume_request() {
    let request = NodeExpandVolumeRequest {
        volume_id: "v".into(),
        volume_path: "/p".into(),
        capacity_range: Some(CapacityRange {
            required_bytes: 0,
            limit_bytes: 9,
        }),
        staging_target_path: "/s".into(),
        volume_capability: Some(block()),
        secrets: map("s", "2"),
    };
    let expected = [
        field(1, b"v"),
        field(2, b"/p"),
        field(3, &number(2, 9)),
        field(4, b"/s"),
        field(5, &block_wire()),
        entry(6, "s", "2"),
    ];
    assert_eq!(request.encode_to_vec(), expected.concat());
}

#[test]
fn wrapped_numbers_tell_zero_from_nothing() {
    let zero = GetCapacityResponse {
        available_capacity: 5,
        maximum_volume_size: Some(0),
        minimum_volume_size: None,
    };
    assert_eq!(zero.encode_to_vec(), [number(1, 5), field(2, &[])].concat());
    let not_ready = ProbeResponse { ready: Some(false) };
    assert_eq!(not_ready.encode_to_vec(), field(1, &[]));
    let ready = ProbeResponse { ready: Some(true) };
    assert_eq!(ready.encode_to_vec(), field(1, &number(1, 1)));
}

#[test]
fn capability_numbers() {
    assert_eq!(ControllerRpc::GetCapacity as i32, 4);
    assert_eq!(ControllerRpc::GetVolume as i32, 12);
    assert_eq!(ControllerRpc::SingleNodeMultiWriter as i32, 13);
    assert_eq!(ControllerRpc::ModifyVolume as i32, 14);
    assert_eq!(NodeRpc::VolumeCondition as i32, 4);
    assert_eq!(NodeRpc::SingleNodeMultiWriter as i32, 5);
    assert_eq!(NodeRpc::VolumeMountGroup as i32, 6);
}

#[test]
fn registration() {
    let info = PluginInfo {
        r#type: "CSIPlugin".into(),
        name: "n".into(),
        endpoint: "/e".into(),
        supported_versions: vec!["1.0.0".into()],
    };
    let expected = [
        field(1, b"CSIPlugin"),
        field(2, b"n"),
        field(3, b"/e"),
        field(4, b"1.0.0"),
    ];
    assert_eq!(info.encode_to_vec(), expected.concat());
    let failed = RegistrationStatus {
        plugin_registered: false,
        error: "no".into(),
    };
    assert_eq!(failed.encode_to_vec(), field(2, b"no"));
}
