//! Removes volumes that nobody asked for any more when they were ready.
//!
//! external-provisioner knows only in memory which claims it works on (`claimsInProgress` of
//! sig-storage-lib-external-provisioner): of a claim that was deleted while CreateVolume was at work, it forgets the volume when
//! it is started anew. Such a volume has neither claim nor PersistentVolume. It is deleted as unused, so the device decides:
//! what was in use all the same stays, and is reported as kept.
//!
//! Nor does it ask for a volume whose claim has no node any more: etcd was restored to the time before kube-scheduler chose one,
//! or the object of the volume was deleted and made anew. kube-scheduler counts the space of that volume as taken, and may find
//! none for its claim. So it is deleted as well, and made anew once there is a node.
//!
//! One that its node refused is in the way of its claim once CreateVolume is not called for it any more, as when the node of the
//! claim was deleted. It is deleted as well.
//!
//! Nor does external-provisioner know of a second namespace of a volume: one on a node that was not seen when the volume was made
//! anew elsewhere. DeleteVolume ends what the object names, and the other one is kept without object. If nobody used it, it goes
//! in the same way.

use std::collections::HashSet;
use std::mem;
use std::time::Duration;

use cluster::{Claim, ObjectKey};
use crds::PmemVolume;
use kube::ResourceExt;
use tracing::{info, warn};

use crate::controller::{RemoveError, Service, VolumeId, is_said_to_be_unused};
use crate::index::Index;
use crate::kept_volumes::{KeptPlace, object_of};

/// How often it is looked for them.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes them, for ever. Each is seen twice before: its PersistentVolume may be about to be written.
pub async fn run(service: Service) {
    let mut seen = HashSet::new();
    loop {
        let volumes = service.index().read(without_persistent_volume);
        let kept = service.index().read(kept_unused);
        let ids = volumes.iter().map(|volume| &volume.id);
        let ids = ids.chain(kept.iter().map(|volume| &volume.id)).cloned().collect();
        let before = mem::replace(&mut seen, ids);
        for volume in volumes.iter().filter(|volume| before.contains(&volume.id)) {
            remove(&service, volume).await;
        }
        remove_kept(&service, kept.into_iter().filter(|volume| before.contains(&volume.id))).await;
        tokio::time::sleep(PERIOD).await;
    }
}

/// A volume, and the claim that it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Its id.
    pub id: VolumeId,
    /// Where its claim is, or was; none if its object does not tell, and it is said to be unused or was made anew.
    pub claim: Option<ObjectKey>,
    /// The unique id of that claim.
    pub claim_uid: String,
}

/// The volumes that no PersistentVolume names, and of which it is known which claim they were made for, or that they are unused, or
/// that their object was made anew: for a PersistentVolume that nobody had claimed, it does not tell of any claim.
/// Empty until the index is synced.
#[must_use]
pub fn without_persistent_volume(index: &Index) -> Vec<Unnamed> {
    if !index.synced() {
        return Vec::new();
    }
    let volumes = index
        .volumes()
        .filter(|volume| volume.metadata.deletion_timestamp.is_none());
    volumes
        .filter(|volume| !is_named(index, &volume.name_any()))
        .filter_map(unnamed)
        .collect()
}

fn is_named(index: &Index, volume: &str) -> bool {
    index.persistent_volumes_of(volume).next().is_some()
}

/// A volume that a node keeps without object, and that nobody used.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptUnused {
    /// Its id.
    pub id: VolumeId,
    /// The unique id of the claim that it was made for.
    pub claim_uid: String,
    /// The object by which its node is told to erase it.
    pub object: PmemVolume,
}

/// The volumes that have neither object nor PersistentVolume, that nobody used, and that were made for a claim. Empty until the
/// index is synced.
#[must_use]
pub fn kept_unused(index: &Index) -> Vec<KeptUnused> {
    let is_nobodys = |place: &KeptPlace<'_>| {
        let name = &place.kept.name;
        place.is_claims_and_unused() && !is_named(index, name) && index.newest_volume(name).is_none()
    };
    let found = index
        .kept_volumes()
        .filter(|_| index.synced())
        .filter(is_nobodys)
        .filter_map(|place| {
            Some(KeptUnused {
                id: VolumeId::parse(&place.kept.name)?,
                claim_uid: Claim::uid_in_volume_name(&place.kept.name)?.to_owned(),
                object: object_of(place, None),
            })
        });
    found.collect()
}

fn unnamed(volume: &PmemVolume) -> Option<Unnamed> {
    let name = volume.name_any();
    let claim = volume.spec.claim.as_ref();
    if claim.is_none() && !is_said_to_be_unused(volume) && !volume.is_kept() {
        return None;
    }
    Some(Unnamed {
        id: VolumeId::parse(&name)?,
        claim: claim.map(|claim| ObjectKey::new(&claim.namespace, &claim.name)),
        claim_uid: Claim::uid_in_volume_name(&name)?.to_owned(),
    })
}

async fn remove(service: &Service, volume: &Unnamed) {
    match service.remove_unclaimed(volume).await {
        Ok(false) | Err(RemoveError::Busy(_)) => {}
        Ok(true) => {
            let claim = volume.claim.as_ref().map(tracing::field::display);
            info!(volume = %volume.id, claim, "volume deleted: it was never bound, and its claim does not ask for it or its node refused it");
        }
        Err(error) => {
            let error = program::chain(&error);
            warn!(volume = %volume.id, error, "a volume without claim is not removed, trying again");
        }
    }
}

async fn remove_kept(service: &Service, kept: impl Iterator<Item = KeptUnused>) {
    let mut kept = kept.peekable();
    if kept.peek().is_none() {
        return;
    }
    let claims = match service.claims_by_uid().await {
        Ok(claims) => claims,
        Err(error) => {
            let error = program::chain(&error);
            warn!(
                error,
                "volumes without object that nobody used are not removed, trying again"
            );
            return;
        }
    };
    for volume in kept {
        let (id, node) = (volume.id.clone(), volume.object.spec.node.clone());
        match service.remove_kept(volume, &claims).await {
            Ok(false) | Err(RemoveError::Busy(_)) => {}
            Ok(true) => {
                info!(volume = %id, node, "volume without object deleted: nobody used it, and no claim asks for it");
            }
            Err(error) => {
                let error = program::chain(&error);
                warn!(volume = %id, node, error, "a volume without object is not removed, trying again");
            }
        }
    }
}
