//! `ListVolumes`: the volumes that can be used, in pages.

use crds::PmemVolume;
use csi::RpcError;
use csi::v1::list_volumes_response::{Entry, VolumeStatus};
use csi::v1::{ListVolumesRequest, ListVolumesResponse};
use kube::ResourceExt;
use tonic::Code;

use crate::controller::response::{condition, to_csi};
use crate::controller::service::Service;
use crate::controller::volume_status::is_usable;
use crate::index::Index;

/// Why volumes cannot be listed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The size of a page is below 0.
    #[error("max_entries is {0}: it has to be 0 (all) or more")]
    Negative(i32),
    /// The token is not one of ours.
    #[error("starting_token {0:?} is not one that was given out: start again without a token")]
    Token(String),
    /// The index is not complete yet.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
}

impl RpcError for ListError {
    /// CSI "`ListVolumes` Errors".
    fn code(&self) -> Code {
        match self {
            Self::Negative(_) => Code::InvalidArgument,
            Self::Token(_) => Code::Aborted,
            Self::Starting => Code::Unavailable,
        }
    }
}

/// What a token starts with: the name of the last volume of the page before follows.
const AFTER: &str = "after/";

impl Service {
    /// One page of the volumes that can be used, by name.
    ///
    /// # Errors
    /// If the call does not say clearly which page, or the index is not complete yet.
    pub fn list(&self, request: &ListVolumesRequest) -> Result<ListVolumesResponse, ListError> {
        self.index.read(|index| page(index, request))
    }
}

fn page(index: &Index, request: &ListVolumesRequest) -> Result<ListVolumesResponse, ListError> {
    let most = usize::try_from(request.max_entries).map_err(|_| ListError::Negative(request.max_entries))?;
    let after = match request.starting_token.strip_prefix(AFTER) {
        Some(after) => after,
        None if request.starting_token.is_empty() => "",
        None => return Err(ListError::Token(request.starting_token.clone())),
    };
    if !index.synced() {
        return Err(ListError::Starting);
    }
    let mut rest = index
        .volumes()
        .filter(|volume| is_usable(volume) && volume.name_any().as_str() > after)
        .peekable();
    let most = if most == 0 { usize::MAX } else { most };
    let shown: Vec<&PmemVolume> = rest.by_ref().take(most).collect();
    let last = shown.last().filter(|_| rest.peek().is_some());
    Ok(ListVolumesResponse {
        next_token: last
            .map(|last| format!("{AFTER}{}", last.name_any()))
            .unwrap_or_default(),
        entries: shown.into_iter().map(|volume| entry(index, volume)).collect(),
    })
}

fn entry(index: &Index, volume: &PmemVolume) -> Entry {
    Entry {
        volume: Some(to_csi(volume)),
        status: Some(VolumeStatus {
            published_node_ids: Vec::new(),
            volume_condition: Some(condition(index, volume)),
        }),
    }
}
