//! Removes volumes that nobody asked for any more when they were ready.
//!
//! external-provisioner knows only in memory which claims it works on (`claimsInProgress` of
//! sig-storage-lib-external-provisioner): of a claim that was deleted while CreateVolume was at work, it forgets the volume when
//! it is started anew. Such a volume has neither claim nor PersistentVolume. It is deleted as unused, so the device decides:
//! what was in use all the same stays, and is reported as kept.

use std::time::Duration;

use cluster::{Claim, ObjectKey};
use crds::PmemVolume;
use kube::ResourceExt;
use tracing::{info, warn};

use crate::controller::{RemoveError, Service, VolumeId};
use crate::index::Index;

/// How often it is looked for them.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes them, for ever.
pub async fn run(service: Service) {
    loop {
        for volume in service.index().read(without_persistent_volume) {
            remove(&service, &volume).await;
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// A volume, and the claim that it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unnamed {
    /// Its id.
    pub id: VolumeId,
    /// Where its claim is, or was.
    pub claim: ObjectKey,
    /// The unique id of that claim.
    pub claim_uid: String,
}

/// The volumes that no PersistentVolume names, and of which it is known which claim they were made for. Empty until the index
/// is synced.
#[must_use]
pub fn without_persistent_volume(index: &Index) -> Vec<Unnamed> {
    if !index.synced() {
        return Vec::new();
    }
    let is_named = |volume: &&PmemVolume| index.persistent_volumes_of(&volume.name_any()).next().is_some();
    let volumes = index
        .volumes()
        .filter(|volume| volume.metadata.deletion_timestamp.is_none());
    volumes.filter(|volume| !is_named(volume)).filter_map(unnamed).collect()
}

fn unnamed(volume: &PmemVolume) -> Option<Unnamed> {
    let name = volume.name_any();
    let claim = volume.spec.claim.as_ref()?;
    Some(Unnamed {
        id: VolumeId::parse(&name)?,
        claim: ObjectKey::new(&claim.namespace, &claim.name),
        claim_uid: Claim::uid_in_volume_name(&name)?.to_owned(),
    })
}

async fn remove(service: &Service, volume: &Unnamed) {
    match service.remove_unclaimed(volume).await {
        Ok(false) | Err(RemoveError::Busy(_)) => {}
        Ok(true) => {
            info!(volume = %volume.id, claim = %volume.claim, "volume deleted: its claim is gone, and it was never bound");
        }
        Err(error) => {
            let error = program::chain(&error);
            warn!(volume = %volume.id, error, "a volume without claim is not removed, trying again");
        }
    }
}
