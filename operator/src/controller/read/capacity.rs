//! GetCapacity: the largest volume that one CreateVolume gets on a node, or on any.

use cluster::{ClassError, ClassSettings, Size};
use crds::ClassParameters;
use csi::RpcError;
use csi::v1::{GetCapacityRequest, GetCapacityResponse};
use placement::Bytes;
use tonic::Code;

use crate::capacity::largest_volumes;
use crate::controller::request::{ForeignTopology, UsageError, filesystem_of, node_of};
use crate::controller::service::Service;
use crate::index::Index;

/// Why a GetCapacity call has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// A parameter of the StorageClass.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The access mode, access type, file system or mount options.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The node.
    #[error(transparent)]
    Topology(#[from] ForeignTopology),
    /// The index is not complete yet.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
}

impl RpcError for CapacityError {
    /// CSI names no codes for GetCapacity, so these are the general ones of gRPC.
    fn code(&self) -> Code {
        match self {
            Self::Usage(_) => csi::UNSUPPORTED_FOR_NEW_VOLUME,
            Self::Class(_) | Self::Topology(_) => Code::InvalidArgument,
            Self::Starting => Code::Unavailable,
        }
    }
}

impl Service {
    /// The largest volume that one CreateVolume can get on the node of the request, in usable bytes; on any node, if none is
    /// named.
    ///
    /// # Errors
    /// If the class, the capabilities or the topology are wrong, or the index is not complete yet.
    pub fn capacity(&self, request: &GetCapacityRequest) -> Result<GetCapacityResponse, CapacityError> {
        let (parameters, minimum) = parameters(request)?;
        let node = request.accessible_topology.as_ref().map(node_of).transpose()?;
        if !self.index.read(Index::synced) {
            return Err(CapacityError::Starting);
        }
        let largest = self
            .index
            .read(|index| largest(index, node, &parameters, minimum))
            .get();
        Ok(GetCapacityResponse {
            available_capacity: largest,
            maximum_volume_size: Some(largest),
            minimum_volume_size: Some(minimum.get()),
        })
    }
}

/// The parameters of the request, and the usable bytes that its file system needs.
fn parameters(request: &GetCapacityRequest) -> Result<(ClassParameters, Bytes), CapacityError> {
    let settings = ClassSettings::parse(&request.parameters)?;
    let mut minimum = settings.filesystem.smallest_request();
    if !request.volume_capabilities.is_empty() {
        let filesystem = filesystem_of(&request.volume_capabilities)?;
        minimum = minimum.max(Size::smallest(filesystem).required);
    }
    Ok((settings.parameters, minimum))
}

fn largest(index: &Index, node: Option<&str>, parameters: &ClassParameters, minimum: Bytes) -> Bytes {
    let of_node = |node: &str| {
        let free = index.free_space(node)?;
        largest_volumes(&free, parameters, minimum).into_values().max()
    };
    match node {
        Some(node) => of_node(node).unwrap_or_default(),
        None => index.node_names().filter_map(of_node).max().unwrap_or_default(),
    }
}
