//! Deletes a volume that was never bound and of which nothing comes any more, with its object or without.

use std::collections::HashSet;

use crds::{Phase, PmemVolume};
use csi::Busy;

use super::api::ApiError;
use super::deletion::{Reason, is_said_to_be_unused};
use super::service::Service;
use super::volume_id::VolumeId;
use crate::unclaimed_volumes::{KeptUnused, Unnamed};

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
    /// Deletes `volume` as unused if its claim is gone or its node refused it, and no PersistentVolume names it. The cluster is
    /// asked for all of it, since the watches may be behind. True if it was deleted.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_unclaimed(&self, volume: &Unnamed) -> Result<bool, RemoveError> {
        let _lock = self.locks.take(volume.id.as_str())?;
        let Some(object) = self.volumes.get(&volume.id).await? else {
            return Ok(false);
        };
        // Nobody is at work on a refused one any more: the lock says so.
        let is_over = is_refused(&object) || is_said_to_be_unused(&object) || !self.has_claim(volume).await?;
        if !is_over || self.is_named(&volume.id).await? {
            return Ok(false);
        }
        self.volumes.erase(&volume.id, &object, Reason::Unused).await?;
        Ok(true)
    }

    /// The same for one that has no object: it gets one that says so. `claims` are the unique ids of all claims, read after the
    /// volume was found.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_kept(&self, volume: KeptUnused, claims: &HashSet<String>) -> Result<bool, RemoveError> {
        let id = &volume.id;
        let _lock = self.locks.take(id.as_str())?;
        if claims.contains(&volume.claim_uid) || self.is_named(id).await? || self.volumes.get(id).await?.is_some() {
            return Ok(false);
        }
        self.volumes.create_to_erase(id, volume.object, Reason::Unused).await?;
        Ok(true)
    }

    /// Also if nobody can tell.
    async fn has_claim(&self, volume: &Unnamed) -> Result<bool, RemoveError> {
        let Some(claim) = &volume.claim else {
            return Ok(true);
        };
        let claim = self.claims.claim(claim).await?;
        Ok(claim.is_some_and(|claim| *claim.uid == *volume.claim_uid))
    }

    /// Whether a PersistentVolume names it. external-provisioner names both alike, unless it is told otherwise.
    async fn is_named(&self, id: &VolumeId) -> Result<bool, ApiError> {
        self.volumes.has_persistent_volume(id, id.as_str()).await
    }

    /// The unique ids of all claims.
    ///
    /// # Errors
    /// The claims cannot be read.
    pub async fn claim_uids(&self) -> Result<HashSet<String>, RemoveError> {
        Ok(self.claims.uids().await?)
    }
}

/// Whether it has no space and gets none. Somebody may have written the phase alone.
fn is_refused(volume: &PmemVolume) -> bool {
    let status = volume.status.as_ref();
    status.is_some_and(|status| status.phase == Some(Phase::Refused) && status.region.is_none())
}
