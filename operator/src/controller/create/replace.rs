//! Volumes that make way for the one that a CreateVolume call asks for. Each is deleted as unused: the device decides.

use crds::PmemVolume;
use csi::v1::Volume;
use tokio::time::Instant;
use tracing::info;

use super::call::written_by_another;
use super::error::CreateError;
use super::kept::KeptError;
use crate::controller::deletion::Reason;
use crate::controller::request::CreateRequest;
use crate::controller::service::Service;
use crate::controller::volume_id::VolumeId;
use crate::controller::volume_status::provisioning_message;

impl Service {
    /// Deletes a refused volume, so that the next attempt may write one of that name on another node.
    pub(super) async fn delete_refused(
        &self,
        id: &VolumeId,
        volume: PmemVolume,
        until: Instant,
    ) -> Result<Volume, CreateError> {
        self.erase(id, &volume).await?;
        let uid = volume.metadata.uid.clone();
        let gone = self.index.wait_for(|index| {
            let shown = index.volume(id.as_str());
            shown.is_none_or(|shown| shown.metadata.uid != uid).then_some(())
        });
        // Whether it is gone in time or not, the caller gets the same error.
        let _late = tokio::time::timeout_at(until, gone).await.is_err();
        Err(CreateError::Refused {
            id: id.clone(),
            message: provisioning_message(&volume)
                .unwrap_or("its driver gives no reason")
                .into(),
            node: volume.spec.node,
        })
    }

    /// The class of the claim was made anew with other parameters before the volume was bound. Of a call without a claim, nobody
    /// can tell.
    pub(super) async fn replace(
        &self,
        request: &CreateRequest,
        volume: &PmemVolume,
        difference: String,
    ) -> Result<Volume, CreateError> {
        let id = request.id.clone();
        let different = CreateError::Different {
            id,
            difference: difference.clone(),
        };
        if request.claim.is_none() || request.claim != volume.spec.claim {
            return Err(different);
        }
        self.delete_unused(request, volume, &difference, different).await
    }

    /// Deletes a volume that is not what is wanted, or not where. Where a `PersistentVolume` names it, it is in use: `used`.
    /// Else nobody can have used it.
    pub(super) async fn delete_unused(
        &self,
        request: &CreateRequest,
        volume: &PmemVolume,
        reason: &str,
        used: CreateError,
    ) -> Result<Volume, CreateError> {
        let (id, node) = (request.id.clone(), volume.spec.node.clone());
        let persistent_volume = &request.persistent_volume;
        if self.volumes.has_persistent_volume(&id, persistent_volume).await? {
            return Err(used);
        }
        self.erase(&id, volume).await?;
        info!(volume = %id, node, reason, "volume deleted: nobody used it, and another is wanted");
        let reason = reason.to_owned();
        Err(CreateError::Replacing { id, node, reason })
    }

    /// As [`Service::delete_unused`], for one that has no object.
    pub(super) async fn replace_kept(
        &self,
        request: &CreateRequest,
        object: PmemVolume,
        reason: String,
    ) -> Result<Volume, CreateError> {
        let (id, node) = (request.id.clone(), object.spec.node.clone());
        if self
            .volumes
            .has_persistent_volume(&id, &request.persistent_volume)
            .await?
        {
            let difference = reason;
            return Err(KeptError::Different { id, node, difference }.into());
        }
        match self.volumes.create_to_erase(&id, object, Reason::Unused).await {
            Err(error) if error.is_outdated() => return Err(written_by_another(&id)),
            result => result?,
        }
        info!(volume = %id, node, reason, "volume without PmemVolume deleted: nobody used it, and another is wanted");
        Err(CreateError::Replacing { id, node, reason })
    }

    pub(super) async fn erase(&self, id: &VolumeId, volume: &PmemVolume) -> Result<(), CreateError> {
        match self.volumes.erase(id, volume, Reason::Unused).await {
            Err(error) if error.is_outdated() => Err(written_by_another(id)),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }
}
