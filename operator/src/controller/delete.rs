//! DeleteVolume: records that a volume is to be erased.

use crds::PmemVolume;
use csi::v1::DeleteVolumeRequest;
use csi::{Busy, RpcError};
use tonic::Code;
use tracing::info;

use super::api::ApiError;
use super::deletion::{Deletion, Reason};
use super::service::Service;
use super::volume_id::VolumeId;
use crate::index::{Index, NamedVolume};
use crate::kept_volumes::{KeptPlace, KeptPlaceError, object_of, object_to_look_for};

/// How often a volume that was changed meanwhile is read again.
const ATTEMPTS: u32 = 5;

/// Why the deletion of a volume is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// CSI requires an id.
    #[error("no volume id is given")]
    NoId,
    /// It cannot be the id of a volume, and yet a `PersistentVolume` or a `PmemVolume` has it.
    #[error(
        "{0:?} cannot be the id of a volume, which is a DNS label: if the node has a namespace of that name, destroy it with \
         ndctl, then delete the PersistentVolume and the PmemVolume"
    )]
    NotAnId(String),
    /// The index is not complete yet.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
    /// Another call works on the volume.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Somebody else changed the volume each time.
    #[error("volume {0} is being changed: try again")]
    Changing(VolumeId),
    /// Its object was deleted by hand and is held by somebody's finalizer.
    #[error(
        "the PmemVolume of volume {0} was deleted by hand and is vanishing; its data is kept: once nothing in its metadata.finalizers holds it, it is tried again"
    )]
    Vanishing(VolumeId),
    /// It has no object, and it is not clear where its data is.
    #[error(transparent)]
    Place(#[from] KeptPlaceError),
    /// The API server did not do what it was asked to.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl RpcError for DeleteError {
    /// CSI "DeleteVolume Errors".
    fn code(&self) -> Code {
        match self {
            Self::NoId => Code::InvalidArgument,
            Self::Starting => Code::Unavailable,
            Self::NotAnId(_) => Code::FailedPrecondition,
            Self::Busy(_) | Self::Changing(_) | Self::Vanishing(_) => Code::Aborted,
            Self::Place(error) => error.code(),
            Self::Api(error) => error.code(),
        }
    }
}

impl Service {
    /// Records that the volume is to be erased. Its node does that in the background; until then its space is taken.
    /// Already gone counts as success.
    ///
    /// # Errors
    /// If it is not certain that the deletion is recorded: the caller tries again.
    pub async fn delete(&self, request: &DeleteVolumeRequest) -> Result<(), DeleteError> {
        if request.volume_id.is_empty() {
            return Err(DeleteError::NoId);
        }
        let Some(id) = VolumeId::parse(&request.volume_id) else {
            return self.delete_what_is_no_volume(&request.volume_id);
        };
        let _lock = self.locks.take(id.as_str())?;
        for _ in 0..ATTEMPTS {
            match self.record_deletion(&id).await {
                Err(DeleteError::Api(error)) if error.is_outdated() => {}
                result => return result,
            }
        }
        Err(DeleteError::Changing(id))
    }

    /// Success is for ever: what somebody made under such an id by hand would stay where it is, unseen.
    fn delete_what_is_no_volume(&self, id: &str) -> Result<(), DeleteError> {
        let is_named = self.index.read(|index| {
            let is_there = index.persistent_volumes_of(id).next().is_some() || index.volume(id).is_some();
            index.synced().then_some(is_there)
        });
        match is_named {
            None => Err(DeleteError::Starting),
            Some(true) => Err(DeleteError::NotAnId(id.to_owned())),
            Some(false) => Ok(()),
        }
    }

    async fn record_deletion(&self, id: &VolumeId) -> Result<(), DeleteError> {
        let Some(volume) = self.volumes.get(id).await? else {
            return self.delete_without_object(id).await;
        };
        match Deletion::of(&volume, Reason::Called) {
            Deletion::Recorded => Ok(()),
            Deletion::OfTheObjectAlone => Err(DeleteError::Vanishing(id.clone())),
            Deletion::ToRecord => {
                if let Some(deleted) = self.volumes.erase(id, &volume, Reason::Called).await? {
                    self.index.update(|index| index.refresh_volume(id.as_str(), deleted));
                }
                info!(volume = %id, node = volume.spec.node, "volume deleted, its node erases it");
                Ok(())
            }
        }
    }

    /// The object may be gone because the deletion is recorded on the device by now, or because somebody deleted the object
    /// alone: then the data is there and has to be erased. Success is for ever, since nobody names the data after it. So the
    /// node that the `PersistentVolume` names gets an object in any case, and looks itself: what it reported may be from before
    /// there was the volume.
    async fn delete_without_object(&self, id: &VolumeId) -> Result<(), DeleteError> {
        if !self.index.read(Index::synced) {
            return Err(DeleteError::Starting);
        }
        let named = self.look_again(id).await?;
        let kept = self.index.read(|index| {
            let place = KeptPlace::find(index, id.as_str())?;
            Ok::<_, KeptPlaceError>(place.map(|place| object_of(place, named.as_ref())))
        })?;
        match (kept, named) {
            (Some(volume), _) => self.erase_without_object(id, volume).await,
            (None, Some(named)) => self.erase_where_named(id, &named).await,
            (None, None) => Ok(()),
        }
    }

    /// The `PersistentVolume` of the volume, if there is one. What the node that it names reports is in the index afterwards:
    /// the watches may be behind.
    async fn look_again(&self, id: &VolumeId) -> Result<Option<NamedVolume>, DeleteError> {
        let named = match self.volumes.named(id).await? {
            Some(named) => Some(named),
            None => self
                .index
                .read(|index| index.persistent_volumes_of(id.as_str()).next().cloned()),
        };
        if let Some(node) = named.as_ref().and_then(|named| named.volume.node.as_deref()) {
            let was_shown = self.index.read(|index| index.node(node).is_some());
            if let Some(report) = self.volumes.report_of(id, node).await? {
                self.index.update(|index| index.refresh_node(report, was_shown));
            }
        }
        Ok(named)
    }

    /// Unless the node itself is gone.
    async fn erase_where_named(&self, id: &VolumeId, named: &NamedVolume) -> Result<(), DeleteError> {
        let Some(node) = named.volume.node.as_deref() else {
            return Ok(());
        };
        if !self.volumes.has_node(id, node).await? {
            return Ok(());
        }
        self.erase_without_object(id, object_to_look_for(id.as_str(), node, named))
            .await
    }

    async fn erase_without_object(&self, id: &VolumeId, volume: PmemVolume) -> Result<(), DeleteError> {
        let node = volume.spec.node.clone();
        self.volumes.create_to_erase(id, volume, Reason::Called).await?;
        info!(volume = %id, node, "volume without PmemVolume deleted, its node erases it");
        Ok(())
    }
}
