//! CreateVolume: what can be asked for.

use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::{CapacityRange, CreateVolumeRequest, VolumeContentSource};
use tonic::Code;

use super::setup::{MIB, capability, makes, request, setup};

#[tokio::test]
async fn other_parameters_already_exist() {
    let mut setup = setup(makes).await;
    setup.create(request(28 * MIB, &["a"])).await.unwrap();
    setup
        .refused(request(30 * MIB, &["a"]), Code::AlreadyExists, "it has 28 MiB")
        .await;
    let mut small = request(1, &["a"]);
    small.capacity_range = Some(CapacityRange {
        required_bytes: 1,
        limit_bytes: 20 * MIB,
    });
    setup
        .refused(
            small,
            Code::AlreadyExists,
            "it has 28 MiB, and this call asks for 1 B to 20 MiB",
        )
        .await;
    // Nobody can tell whose it is.
    let request = |required, nodes: &[&str]| {
        let mut request = request(required, nodes);
        request
            .parameters
            .retain(|key, _| !key.starts_with("csi.storage.k8s.io/pvc/"));
        request
    };
    let mut sector = request(28 * MIB, &["a"]);
    sector.parameters.insert("csi.daxfit.dev/mode".into(), "sector".into());
    setup.refused(sector, Code::AlreadyExists, "mode fsdax").await;
    let mut numa = request(28 * MIB, &["a"]);
    numa.parameters.insert("csi.daxfit.dev/numa".into(), "0".into());
    setup.refused(numa, Code::AlreadyExists, "NUMA node any").await;
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let mut setup = setup(makes).await;
    let mut mode = request(MIB, &["a"]);
    mode.parameters.insert("csi.daxfit.dev/mode".into(), "dax".into());
    setup
        .refused(
            mode,
            Code::InvalidArgument,
            "csi.daxfit.dev/mode is \"dax\": allowed are fsdax, sector",
        )
        .await;
    let mut unknown = request(MIB, &["a"]);
    unknown.parameters.insert("size".into(), "big".into());
    setup
        .refused(
            unknown,
            Code::InvalidArgument,
            "unknown StorageClass parameter \"size\"",
        )
        .await;
    let mut shared = request(MIB, &["a"]);
    shared.volume_capabilities = vec![capability("", Mode::MultiNodeMultiWriter)];
    // As the event on a pod with such a claim says.
    let text = "access mode ReadWriteMany needs several nodes, but persistent memory can be reached from its own node \
                only: use ReadWriteOnce or ReadWriteOncePod";
    setup.refused(shared, Code::InvalidArgument, text).await;
    let mut copy = request(MIB, &["a"]);
    copy.volume_content_source = Some(VolumeContentSource::default());
    setup.refused(copy, Code::InvalidArgument, "dataSource").await;
    let mut nameless = request(MIB, &["a"]);
    nameless.name = String::new();
    setup.refused(nameless, Code::InvalidArgument, "no name").await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn sizes_that_make_no_sense_are_refused() {
    let mut setup = setup(makes).await;
    setup
        .refused(request(0, &["a"]), Code::InvalidArgument, "0 bytes")
        .await;
    setup
        .refused(request(-1, &["a"]), Code::InvalidArgument, "required_bytes is -1")
        .await;
    // What Kubernetes makes of a claim of more than i64.
    setup
        .refused(
            request(i64::MAX, &["a"]),
            Code::OutOfRange,
            "no namespace can be that large",
        )
        .await;
    let mut tight = request(MIB, &["a"]);
    tight.capacity_range = Some(CapacityRange {
        required_bytes: MIB,
        limit_bytes: 2 * MIB,
    });
    setup
        .refused(
            tight,
            Code::OutOfRange,
            "asked 1 MiB to 2 MiB, but the smallest namespace with 1 MiB has 14 MiB",
        )
        .await;
    let mut xfs = request(200 * MIB, &["a"]);
    xfs.volume_capabilities = vec![capability("xfs", Mode::SingleNodeWriter)];
    // As the event on a pod with such a claim says.
    let text = "asked for 200 MiB, but xfs needs at least 300 MiB: ask for more, or for ext4";
    setup.refused(xfs, Code::OutOfRange, text).await;
    assert_eq!(setup.server.take_writes(), Vec::<String>::new());
}

#[tokio::test]
async fn no_size_is_the_smallest_volume() {
    let mut setup = setup(makes).await;
    let ask = CreateVolumeRequest {
        capacity_range: None,
        ..request(1, &["a"])
    };
    assert_eq!(setup.create(ask).await.unwrap().capacity_bytes, 14 * MIB);
}
