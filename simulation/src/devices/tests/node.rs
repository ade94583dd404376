//! A driver on a machine: its worker and its CSI service, with volumes that need no cluster.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crds::{DELETE_VOLUME, FINALIZER, PmemVolume, VolumeMode};
use csi::v1::node_server::Node as _;
use csi::v1::volume_capability::access_mode::Mode;
use csi::v1::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use csi::v1::{
    NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
    VolumeCapability,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use node_driver::csi::NodeService;
use node_driver::devices::{Devices, NewNamespace, Stage};
use node_driver::layout::{Layout, Revision};
use node_driver::volumes::{EarlierVolumes, InMemoryRecord, WorkResult, Worker};
use placement::{Bytes, RegionId};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::devices::{Fuse, Machine, RegionSpec, TrueNamespace};

pub(super) const REGION: &str = "r0";

pub(super) fn machine(mib: u32) -> Machine {
    Machine::new("node-1", &[region(REGION, mib, 2)])
}

pub(super) fn region(id: &str, mib: u32, alignment: u32) -> RegionSpec {
    RegionSpec {
        id: id.into(),
        numa: Some(0),
        size: Bytes::mib(mib),
        alignment: Bytes::mib(alignment),
    }
}

/// A namespace to be made for a volume, before it has a mode.
pub(super) fn bare(volume: &str, mib: u32) -> NewNamespace {
    NewNamespace {
        volume: volume.into(),
        region: RegionId(REGION.into()),
        footprint: Bytes::mib(mib),
    }
}

/// A node with a driver, and what the cluster wants of it.
pub(super) struct Node {
    pub(super) machine: Machine,
    pub(super) record: Arc<InMemoryRecord>,
}

impl Node {
    pub(super) fn new() -> Self {
        Self {
            machine: machine(64),
            record: Arc::default(),
        }
    }

    /// Those of a run that has started. It may have been killed before, or unable to list them.
    fn devices(&self, fuse: &Fuse) -> Arc<dyn Devices> {
        let devices = self.machine.devices(fuse);
        let _started = devices.bring_up();
        devices
    }

    pub(super) fn worker(&self, fuse: &Fuse) -> Worker<Arc<InMemoryRecord>> {
        let layout = Layout::new(self.devices(fuse), Revision::default());
        Worker::new(Arc::new(layout), Arc::clone(&self.record), CancellationToken::new())
    }

    pub(super) fn kubelet(&self, fuse: &Fuse, access: AccessType) -> Kubelet {
        let service = NodeService::new(
            self.machine.node().into(),
            self.devices(fuse),
            self.machine.filesystems(fuse),
            EarlierVolumes::default(),
        );
        Kubelet { service, access }
    }

    pub(super) fn add(&self, name: &str, mib: u32, mode: VolumeMode) -> PmemVolume {
        let spec = serde_json::json!({ "node": "node-1", "required": Bytes::mib(mib), "mode": mode });
        let mut volume = PmemVolume::new(name, serde_json::from_value(spec).unwrap());
        volume.metadata.uid = Some(format!("uid-{name}"));
        volume.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.record.put(volume.clone());
        volume
    }

    pub(super) async fn make(&self, name: &str, mib: u32, mode: VolumeMode) {
        let worker = self.worker(&Fuse::new());
        let result = worker.reconcile(self.add(name, mib, mode)).await.unwrap();
        assert_eq!(result, WorkResult::Settled);
    }

    pub(super) fn delete(&self, name: &str) {
        let mut volume = self.record.get(name).unwrap();
        volume.metadata.annotations = Some([(DELETE_VOLUME.into(), "true".into())].into());
        volume.metadata.finalizers = Some(vec![FINALIZER.into()]);
        volume.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.record.put(volume);
    }

    pub(super) async fn erase(&self, name: &str) {
        let worker = self.worker(&Fuse::new());
        self.delete(name);
        let volume = self.record.get(name).unwrap();
        assert_eq!(worker.reconcile(volume).await.unwrap(), WorkResult::Released);
        worker.clear(name).await.unwrap();
    }

    pub(super) fn only(&self, volume: &str) -> (TrueNamespace, Stage) {
        let truth = self.machine.truth();
        let found: Vec<_> = truth.of_volume(volume).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].0.clone(), found[0].1)
    }

    pub(super) fn is_fine(&self) {
        assert_eq!(self.machine.violations(), Vec::<String>::new());
    }
}

pub(super) struct Kubelet {
    service: NodeService,
    access: AccessType,
}

pub(super) fn as_filesystem() -> AccessType {
    AccessType::Mount(MountVolume::default())
}

pub(super) fn as_block() -> AccessType {
    AccessType::Block(BlockVolume {})
}

pub(super) fn staging(volume: &str) -> PathBuf {
    Path::new("/var/lib/kubelet/staging").join(volume)
}

pub(super) fn target(volume: &str) -> PathBuf {
    Path::new("/var/lib/kubelet/pods").join(volume)
}

impl Kubelet {
    fn capability(&self) -> VolumeCapability {
        VolumeCapability {
            access_type: Some(self.access.clone()),
            access_mode: Some(AccessMode {
                mode: Mode::SingleNodeWriter.into(),
            }),
        }
    }

    pub(super) async fn stage(&self, volume: &str) -> Result<(), Status> {
        let request = NodeStageVolumeRequest {
            volume_id: volume.into(),
            staging_target_path: staging(volume).display().to_string(),
            volume_capability: Some(self.capability()),
            ..Default::default()
        };
        self.service.node_stage_volume(Request::new(request)).await.map(drop)
    }

    pub(super) async fn publish(&self, volume: &str, readonly: bool) -> Result<(), Status> {
        let request = NodePublishVolumeRequest {
            volume_id: volume.into(),
            staging_target_path: staging(volume).display().to_string(),
            target_path: target(volume).display().to_string(),
            volume_capability: Some(self.capability()),
            readonly,
            ..Default::default()
        };
        self.service.node_publish_volume(Request::new(request)).await.map(drop)
    }

    pub(super) async fn unpublish(&self, volume: &str) -> Result<(), Status> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: volume.into(),
            target_path: target(volume).display().to_string(),
        };
        self.service
            .node_unpublish_volume(Request::new(request))
            .await
            .map(drop)
    }

    pub(super) async fn unstage(&self, volume: &str) -> Result<(), Status> {
        let request = NodeUnstageVolumeRequest {
            volume_id: volume.into(),
            staging_target_path: staging(volume).display().to_string(),
        };
        self.service.node_unstage_volume(Request::new(request)).await.map(drop)
    }
}
