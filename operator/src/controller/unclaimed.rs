//! Deletes a volume that was never bound and that nobody asks for any more, with its object or without, or whose node is away.

use std::collections::HashMap;

use cluster::{Class, ObjectKey};
use crds::{Phase, PmemVolume};
use csi::Busy;

use super::api::ApiError;
use super::deletion::{Deletion, Reason, is_said_to_be_unused};
use super::service::Service;
use super::volume_id::VolumeId;
use crate::index::Index;
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
    /// Deletes `volume` as unused if its claim does not ask for it or its node refused it, and no PersistentVolume names it. The
    /// cluster is asked for all of it, since the watches may be behind. True if it was deleted.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_unclaimed(&self, volume: &Unnamed) -> Result<bool, RemoveError> {
        let _lock = self.locks.take(volume.id.as_str())?;
        let Some(object) = self.volumes.get(&volume.id).await? else {
            return Ok(false);
        };
        // Nobody is at work on a refused one any more: the lock says so.
        let is_over = is_refused(&object) || is_said_to_be_unused(&object) || !self.is_wanted(volume).await?;
        if !is_over || self.is_named(&volume.id).await? {
            return Ok(false);
        }
        self.volumes.erase(&volume.id, &object, Reason::Unused).await?;
        Ok(true)
    }

    /// The same for one that has no object: it gets one that says so. `claims` are all claims by their unique ids, read after
    /// the volume was found.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_kept(
        &self,
        volume: KeptUnused,
        claims: &HashMap<String, ObjectKey>,
    ) -> Result<bool, RemoveError> {
        let id = &volume.id;
        let _lock = self.locks.take(id.as_str())?;
        let is_asked_for = match claims.get(&volume.claim_uid) {
            Some(claim) => self.asks(claim, &volume.claim_uid).await?,
            None => false,
        };
        if is_asked_for || self.is_named(id).await? || self.volumes.get(id).await?.is_some() {
            return Ok(false);
        }
        self.volumes.create_to_erase(id, volume.object, Reason::Unused).await?;
        Ok(true)
    }

    /// Deletes the volume `id` as unused if it is on `node`, which is away, and no PersistentVolume names it. True if it is deleted, or there
    /// is none: its claim may go elsewhere. What has data from earlier waits for its node: no PersistentVolume names it because the
    /// cluster was restored to before there was one.
    ///
    /// # Errors
    /// Nothing is known, or it was not deleted: look again later.
    pub async fn remove_away(&self, id: &VolumeId, node: &str) -> Result<bool, RemoveError> {
        let _lock = self.locks.take(id.as_str())?;
        let Some(object) = self.volumes.get(id).await? else {
            return Ok(true);
        };
        if object.spec.node != node || object.may_have_earlier_data() || self.is_named(id).await? {
            return Ok(false);
        }
        if Deletion::of(&object, Reason::Unused) == Deletion::ToRecord {
            self.volumes.erase(id, &object, Reason::Unused).await?;
        }
        Ok(true)
    }

    /// Lets the volume `id` go, which was deleted as unused, if its node is silent or has no report: it could not be made anew
    /// elsewhere before. A node that comes back erases what it has of it, for nobody used it. What may have data from earlier stays: its node
    /// may say that it is in use. True if it is gone.
    ///
    /// # Errors
    /// Nothing is known, or it is still there: look again later.
    pub async fn let_go(&self, id: &VolumeId) -> Result<bool, RemoveError> {
        let _lock = self.locks.take(id.as_str())?;
        let Some(object) = self.volumes.get(id).await? else {
            return Ok(false);
        };
        let is_deleted = object.metadata.deletion_timestamp.is_some() && is_said_to_be_unused(&object);
        if !is_deleted
            || object.may_have_earlier_data()
            || self.is_named(id).await?
            || self.reports(id, &object.spec.node).await?
        {
            return Ok(false);
        }
        self.volumes.let_go(id, &object).await?;
        Ok(true)
    }

    /// Whether the node has a report, and its driver is not silent.
    async fn reports(&self, id: &VolumeId, node: &str) -> Result<bool, ApiError> {
        let report = self.volumes.report_of(id, node).await?;
        let status = report.and_then(|report| report.status);
        Ok(status.is_some_and(|status| !status.is_silent()))
    }

    async fn is_wanted(&self, volume: &Unnamed) -> Result<bool, RemoveError> {
        if let Some(claim) = &volume.claim {
            return self.asks(claim, &volume.claim_uid).await;
        }
        match self.claims_by_uid().await?.get(&volume.claim_uid) {
            Some(claim) => self.asks(claim, &volume.claim_uid).await,
            None => Ok(false),
        }
    }

    /// Whether external-provisioner calls CreateVolume for the claim `key`, if that is still the one with this unique id: at
    /// once, or from when kube-scheduler has chosen a node (`shouldProvision` of sig-storage-lib-external-provisioner). A claim
    /// that waits for its pod anew may wait for the very space that its volume takes.
    async fn asks(&self, key: &ObjectKey, uid: &str) -> Result<bool, RemoveError> {
        let claim = self.claims.claim(key).await?.filter(|claim| *claim.uid == *uid);
        Ok(claim.is_some_and(|claim| claim.selected_node.is_some() || !self.waits_for_pod(claim.class.as_deref())))
    }

    fn waits_for_pod(&self, class: Option<&str>) -> bool {
        self.index.read(|index| {
            let class = class.and_then(|class| index.class(class)).and_then(Class::ours);
            class.is_some_and(|class| class.waits_for_pod)
        })
    }

    /// Whether a PersistentVolume names it. external-provisioner names both alike, unless it is told otherwise; people name theirs as
    /// they like.
    async fn is_named(&self, id: &VolumeId) -> Result<bool, ApiError> {
        let is_shown = |index: &Index| index.persistent_volumes_of(id.as_str()).next().is_some();
        Ok(self.index.read(is_shown) || self.volumes.has_persistent_volume(id, id.as_str()).await?)
    }

    /// All claims, by their unique ids.
    ///
    /// # Errors
    /// The claims cannot be read.
    pub async fn claims_by_uid(&self) -> Result<HashMap<String, ObjectKey>, RemoveError> {
        Ok(self.claims.by_uid().await?)
    }
}

/// Whether it has no space and gets none. Somebody may have written the phase alone.
fn is_refused(volume: &PmemVolume) -> bool {
    let status = volume.status.as_ref();
    status.is_some_and(|status| status.phase == Some(Phase::Refused) && status.region.is_none())
}
