//! Deletes a volume whose claim is gone and that was never bound.

use csi::Busy;

use super::api::ApiError;
use super::deletion::Reason;
use super::service::Service;
use crate::unclaimed_volumes::Unnamed;

/// Why it is not known whether a volume may go, or why it does not go.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Another call is at work on it.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The claim cannot be read.
    #[error("cannot read the claim of the volume")]
    Claim(#[from] kube::Error),
    /// The volume cannot be read or written.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Service {
    /// Deletes `volume` as unused if its claim is gone and no PersistentVolume names it. The cluster is asked for both, since
    /// the watches may be behind. True if it was deleted.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_unclaimed(&self, volume: &Unnamed) -> Result<bool, RemoveError> {
        let _lock = self.locks.take(volume.id.as_str())?;
        let claim = self.claims.claim(&volume.claim).await?;
        if claim.is_some_and(|claim| *claim.uid == *volume.claim_uid) {
            return Ok(false);
        }
        // external-provisioner names both alike, unless it is told otherwise.
        let name = volume.id.as_str();
        if self.volumes.has_persistent_volume(&volume.id, name).await? {
            return Ok(false);
        }
        let Some(object) = self.volumes.get(&volume.id).await? else {
            return Ok(false);
        };
        self.volumes.erase(&volume.id, &object, Reason::Unused).await?;
        Ok(true)
    }
}
