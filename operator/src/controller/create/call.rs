//! The steps of a CreateVolume call.

use std::time::Duration;

use crds::PmemVolume;
use csi::Busy;
use csi::v1::{CreateVolumeRequest, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;
use tonic::Code;
use tracing::info;

use super::error::CreateError;
use super::existing::ExistingVolume;
use super::kept::{Kept, KeptError, kept};
use super::volume::pmem_volume;
use crate::controller::choose::{ChooseError, CompanionClaims, choose, companions};
use crate::controller::request::CreateRequest;
use crate::controller::response::to_csi;
use crate::controller::service::Service;
use crate::controller::volume_id::VolumeId;
use crate::controller::volume_status::{phase, provisioning_message};
use crate::controller::wait::{ProvisioningResult, Unfinished, wait_for_node};
use crate::index::{Index, Reservation};
use crate::kept_volumes::KeptPlace;

/// How long a call waits for the watches before it is to be repeated.
const CATCHING_UP: Duration = Duration::from_secs(10);

impl Service {
    /// As [`Service::create`], and goes on if the caller stops waiting: a volume that was written takes its space, though the
    /// watch may show it only later.
    ///
    /// # Errors
    /// As there.
    pub async fn create_whoever_waits(
        &self,
        request: &CreateVolumeRequest,
        time_limit: Duration,
    ) -> Result<Volume, CreateError> {
        let (service, request) = (self.clone(), request.clone());
        tokio::spawn(async move { service.create(&request, time_limit).await }).await?
    }

    /// Makes a volume, or takes up the one that an earlier call of that name made, and waits for it up to `time_limit`.
    ///
    /// # Errors
    /// Says why there is no such volume, or not yet. A volume that was written stays when the time is up: the next call
    /// finds it.
    pub async fn create(&self, request: &CreateVolumeRequest, time_limit: Duration) -> Result<Volume, CreateError> {
        let until = Instant::now() + time_limit;
        let request = CreateRequest::parse(request)?;
        let _lock = self.locks.take(request.id.as_str())?;
        if !self.index.read(Index::synced) {
            return Err(CreateError::Starting);
        }
        match self.volumes.get(&request.id).await? {
            Some(volume) => self.take_up(&request, volume, until).await,
            None => self.make(&request, until).await,
        }
    }

    async fn take_up(
        &self,
        request: &CreateRequest,
        volume: PmemVolume,
        until: Instant,
    ) -> Result<Volume, CreateError> {
        let (id, node) = (request.id.clone(), volume.spec.node.clone());
        match ExistingVolume::compare(&volume, request) {
            ExistingVolume::Same => self.finish(request, volume, until).await,
            ExistingVolume::Deleting => Err(CreateError::Deleting { id, node }),
            ExistingVolume::DeletionBegun => {
                self.erase(&id, &volume).await?;
                Err(CreateError::Deleting { id, node })
            }
            ExistingVolume::Refused => self.delete_refused(&id, volume, until).await,
            ExistingVolume::OtherSize(difference) => Err(CreateError::Different { id, difference }),
            ExistingVolume::OtherParameters(difference) => self.replace(request, &volume, difference).await,
            ExistingVolume::OnOtherNode => {
                self.delete_unused(request, &volume, "it is wanted on another node", used(request, node))
                    .await
            }
        }
    }

    /// Chooses a node and reserves the space in one step, then writes. A node that keeps the volume is the only choice.
    async fn make(&self, request: &CreateRequest, until: Instant) -> Result<Volume, CreateError> {
        let request = &self.limited(request).await?;
        let companions = companions(self, request).await?;
        let kept = match self.index.read(|index| kept(index, request, &companions))? {
            Some(Kept::Unwanted { object, difference }) => {
                return self.replace_kept(request, *object, difference).await;
            }
            Some(Kept::Used(volume)) => Some(*volume),
            Some(Kept::Unused(place)) => Some(pmem_volume(request, place)),
            None => None,
        };
        let (volume, reservation) = match self.reserve(request, kept.as_ref(), &companions) {
            // The watches may be behind: where the volume fits is worth waiting for.
            Err(refusal) if refusal.code() == Code::ResourceExhausted => {
                self.catch_up(request, until).await?;
                self.reserve(request, kept.as_ref(), &companions)?
            }
            reserved => reserved?,
        };
        let created = self.write(&request.id, &volume).await?;
        reservation.written(&created);
        info!(volume = %request.id, node = created.spec.node, size = %request.size, "volume created");
        let finished = self.finish(request, created, until).await;
        drop::<Reservation>(reservation);
        finished
    }

    fn reserve(
        &self,
        request: &CreateRequest,
        kept: Option<&PmemVolume>,
        companions: &CompanionClaims,
    ) -> Result<(PmemVolume, Reservation), ChooseError> {
        let now = Time(program::now());
        self.index.reserve(|index| {
            let mut volume = match kept {
                Some(kept) => kept.clone(),
                None => pmem_volume(
                    request,
                    choose(
                        index,
                        &request.nodes,
                        &request.volume_request(),
                        companions,
                        self.policy,
                    )?,
                ),
            };
            volume.metadata.creation_timestamp = Some(now);
            Ok(volume)
        })
    }

    /// Waits until the index shows what is there of the only node that may have the volume.
    async fn catch_up(&self, request: &CreateRequest, until: Instant) -> Result<(), CreateError> {
        let Some(node) = request.nodes.only() else {
            return Ok(());
        };
        let held = self.volumes.held_of(&request.id, node).await?;
        let until = until.min(Instant::now() + CATCHING_UP);
        let shown = self.index.wait_for(|index| held.is_shown_by(index).then_some(()));
        let caught_up = tokio::time::timeout_at(until, shown).await;
        caught_up.map_err(|_| CreateError::Behind(node.into()))
    }

    async fn write(&self, id: &VolumeId, volume: &PmemVolume) -> Result<PmemVolume, CreateError> {
        match self.volumes.create(id, volume).await {
            Err(error) if error.is_outdated() => Err(written_by_another(id)),
            result => Ok(result?),
        }
    }

    async fn finish(&self, request: &CreateRequest, volume: PmemVolume, until: Instant) -> Result<Volume, CreateError> {
        let id = &request.id;
        match wait_for_node(&self.index, &volume, until, &self.stop).await {
            Ok(ProvisioningResult::Ready(volume)) => self.hand_out(request, &volume).await,
            Ok(ProvisioningResult::Refused(volume)) => self.delete_refused(id, *volume, until).await,
            // The node had not reported it when the object was written.
            Ok(ProvisioningResult::MeetsAnother(volume)) => {
                let difference = provisioning_message(&volume).unwrap_or_default().to_owned();
                self.replace(request, &volume, difference).await
            }
            // An object of the past, which etcd had again, or somebody destroyed what nobody used yet.
            Ok(ProvisioningResult::Gone(volume)) => {
                let used = used(request, volume.spec.node.clone());
                self.delete_unused(request, &volume, "its namespace is gone", used)
                    .await
            }
            Ok(ProvisioningResult::Deleted) => Err(CreateError::Deleted(id.clone())),
            Err(Unfinished::Stopping) => Err(CreateError::Stopping),
            Err(Unfinished::TimeUp) => Err(self.too_late(id, volume)),
        }
    }

    /// Unless another node has the volume with data. After a restore of etcd its object may be that of an earlier try, whose node
    /// makes it then.
    async fn hand_out(&self, request: &CreateRequest, volume: &PmemVolume) -> Result<Volume, CreateError> {
        let (id, node) = (&request.id, &volume.spec.node);
        let elsewhere = self.index.read(|index| {
            let place = KeptPlace::elsewhere(index, id.as_str(), node)?;
            Ok::<_, KeptError>(place.map(|place| place.node.to_owned()))
        })?;
        let Some(other) = elsewhere else {
            return Ok(to_csi(volume));
        };
        let reason = format!("node {other} has data of it");
        self.delete_unused(request, volume, &reason, used(request, node.clone()))
            .await
    }

    fn too_late(&self, id: &VolumeId, volume: PmemVolume) -> CreateError {
        let state = self
            .index
            .read(|index| index.volume(id.as_str()).map_or_else(|| UNSEEN.into(), state));
        CreateError::Deadline {
            id: id.clone(),
            node: volume.spec.node,
            state,
        }
    }
}

fn used(request: &CreateRequest, node: String) -> CreateError {
    CreateError::Used {
        id: request.id.clone(),
        node,
        persistent_volume: request.persistent_volume.clone(),
    }
}

const UNSEEN: &str = "its driver has not seen it yet";

/// Phase and message of a volume.
fn state(volume: &PmemVolume) -> String {
    match (phase(volume), provisioning_message(volume)) {
        (None, None) => UNSEEN.into(),
        (None, Some(message)) => message.into(),
        (Some(phase), None) => format!("{phase:?}"),
        (Some(phase), Some(message)) => format!("{phase:?}: {message}"),
    }
}

/// The API server reports a conflict: a call of another process works on the volume.
pub(super) fn written_by_another(id: &VolumeId) -> CreateError {
    let volume = id.to_string();
    CreateError::Busy(Busy { volume })
}
