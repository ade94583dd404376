//! The CSI Node service.

use std::sync::Arc;

use ::csi::v1::node_server::Node;
use ::csi::v1::node_service_capability::rpc::Type as Rpc;
use ::csi::v1::node_service_capability::{Rpc as RpcCapability, Type};
use ::csi::v1::{
    NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest, NodeGetInfoResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest, NodePublishVolumeResponse,
    NodeServiceCapability, NodeStageVolumeRequest, NodeStageVolumeResponse, NodeUnpublishVolumeRequest,
    NodeUnpublishVolumeResponse, NodeUnstageVolumeRequest, NodeUnstageVolumeResponse, Topology,
};
use ::csi::{Busy, VolumeLocks, respond};
use crds::TOPOLOGY_KEY;
use tokio::task::JoinError;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::host::Host;
use super::node_get_volume_stats::{NodeGetVolumeStats, NodeGetVolumeStatsError};
use super::node_publish_volume::{NodePublishVolume, NodePublishVolumeError};
use super::node_stage_volume::{NodeStageVolume, NodeStageVolumeError};
use super::node_unpublish_volume::{NodeUnpublishVolume, NodeUnpublishVolumeError};
use super::node_unstage_volume::{NodeUnstageVolume, NodeUnstageVolumeError};
use crate::devices::Devices;
use crate::filesystem::Filesystems;
use crate::volumes::EarlierVolumes;

/// The CSI Node service. Clones share everything.
#[derive(Clone)]
pub struct NodeService {
    node: String,
    host: Arc<Host>,
    locks: VolumeLocks,
    work: TaskTracker,
}

/// The optional calls and features. No `EXPAND_VOLUME`: the kernel may move the start of a
/// namespace that grows.
const CAPABILITIES: [Rpc; 4] = [
    Rpc::StageUnstageVolume,
    Rpc::GetVolumeStats,
    Rpc::VolumeCondition,
    Rpc::SingleNodeMultiWriter,
];

impl NodeService {
    /// The service of the Node `node`.
    #[must_use]
    pub fn new(
        node: String,
        devices: Arc<dyn Devices>,
        filesystems: Arc<dyn Filesystems>,
        earlier: EarlierVolumes,
    ) -> Self {
        let host = Host {
            devices,
            filesystems,
            earlier,
        };
        Self {
            node,
            host: Arc::new(host),
            locks: VolumeLocks::default(),
            work: TaskTracker::new(),
        }
    }

    /// Waits until the work of every call has ended, also of those whose caller gave up. New calls may still come.
    pub async fn finish(&self) {
        self.work.close();
        self.work.wait().await;
    }

    /// Does blocking work on a volume while no other call works on it. It goes on if the caller stops waiting.
    async fn exclusively<T, E>(
        &self,
        volume: &str,
        work: impl FnOnce(&Host) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Busy> + From<JoinError> + Send + 'static,
    {
        let lock = self.locks.take(volume)?;
        self.blocking(move |host| {
            let _lock = lock;
            work(host)
        })
        .await
    }

    async fn blocking<T, E>(&self, work: impl FnOnce(&Host) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<JoinError> + Send + 'static,
    {
        let host = Arc::clone(&self.host);
        let token = self.work.token();
        let work = program::spawn_blocking(move || {
            let _token = token;
            work(&host)
        });
        work.await?
    }

    async fn stage(&self, request: NodeStageVolumeRequest) -> Result<NodeStageVolumeResponse, NodeStageVolumeError> {
        let call = NodeStageVolume::parse(request)?;
        let volume = call.volume.clone();
        self.exclusively(&volume, move |host| call.run(host)).await?;
        Ok(NodeStageVolumeResponse {})
    }

    async fn unstage(
        &self,
        request: NodeUnstageVolumeRequest,
    ) -> Result<NodeUnstageVolumeResponse, NodeUnstageVolumeError> {
        let call = NodeUnstageVolume::parse(request)?;
        let volume = call.volume.clone();
        self.exclusively(&volume, move |host| call.run(host)).await?;
        Ok(NodeUnstageVolumeResponse {})
    }

    async fn publish(
        &self,
        request: NodePublishVolumeRequest,
    ) -> Result<NodePublishVolumeResponse, NodePublishVolumeError> {
        let call = NodePublishVolume::parse(request)?;
        let volume = call.volume.clone();
        self.exclusively(&volume, move |host| call.run(host)).await?;
        Ok(NodePublishVolumeResponse {})
    }

    async fn unpublish(
        &self,
        request: NodeUnpublishVolumeRequest,
    ) -> Result<NodeUnpublishVolumeResponse, NodeUnpublishVolumeError> {
        let call = NodeUnpublishVolume::parse(request)?;
        let volume = call.volume.clone();
        self.exclusively(&volume, move |host| call.run(host)).await?;
        Ok(NodeUnpublishVolumeResponse {})
    }

    /// Changes nothing, so that it need not wait for a volume that is being formatted.
    async fn stats(
        &self,
        request: NodeGetVolumeStatsRequest,
    ) -> Result<NodeGetVolumeStatsResponse, NodeGetVolumeStatsError> {
        let call = NodeGetVolumeStats::parse(request)?;
        self.blocking(move |host| call.run(host)).await
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let request = request.into_inner();
        let volume = request.volume_id.clone();
        respond("NodeStageVolume", &volume, self.stage(request).await)
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let request = request.into_inner();
        let volume = request.volume_id.clone();
        respond("NodeUnstageVolume", &volume, self.unstage(request).await)
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let volume = request.volume_id.clone();
        respond("NodePublishVolume", &volume, self.publish(request).await)
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let request = request.into_inner();
        let volume = request.volume_id.clone();
        respond("NodeUnpublishVolume", &volume, self.unpublish(request).await)
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let request = request.into_inner();
        let volume = request.volume_id.clone();
        respond("NodeGetVolumeStats", &volume, self.stats(request).await)
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        let capability = |rpc: Rpc| NodeServiceCapability {
            r#type: Some(Type::Rpc(RpcCapability { r#type: rpc.into() })),
        };
        Ok(Response::new(NodeGetCapabilitiesResponse {
            capabilities: CAPABILITIES.into_iter().map(capability).collect(),
        }))
    }

    async fn node_get_info(&self, _: Request<NodeGetInfoRequest>) -> Result<Response<NodeGetInfoResponse>, Status> {
        let segments = [(TOPOLOGY_KEY.to_owned(), self.node.clone())].into();
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.node.clone(),
            max_volumes_per_node: 0,
            accessible_topology: Some(Topology { segments }),
        }))
    }
}
