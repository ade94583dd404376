//! CreateVolume: writes a PmemVolume and waits until its node has carried it out.

use std::time::Duration;

use crds::PmemVolume;
use csi::v1::{CreateVolumeRequest, Volume};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;
use tonic::Code;
use tracing::info;

use super::Service;
use super::api::ApiError;
use super::choose::{Blame, NoPlace, choose};
use super::existing::{Existing, judge, phase};
use super::outcome::{Outcome, explanation, outcome};
use super::request::{Asked, RequestError};
use super::response::to_csi;
use super::size::SizeError;
use super::volume_id::VolumeId;
use crate::index::{Assumption, Index};

/// Why there is no volume, or not yet.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The call makes no sense.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The operator has just started.
    #[error("the operator is still reading the state of the cluster: try again")]
    Starting,
    /// The operator is about to end.
    #[error("the operator is stopping: try again")]
    Stopping,
    /// Another call works on the volume.
    #[error("another call is at work on volume {0}: try again")]
    Busy(VolumeId),
    /// A volume of that name is on its way out.
    #[error("volume {id} is being deleted on node {node}; it can be made anew once its bytes are erased: try again")]
    Deleting {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
    },
    /// There is a different volume of that name.
    #[error("volume {id} exists, but {difference}")]
    Different {
        /// The volume.
        id: VolumeId,
        /// What is different.
        difference: String,
    },
    /// The volume is on a node where it is of no use, and nobody uses it.
    #[error("volume {id} is on node {node}, where it is not wanted any more; it is deleted there first: try again")]
    Moving {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
    },
    /// The volume is on a node where it is of no use, but somebody may use it.
    #[error("volume {id} is on node {node}, and PersistentVolume {persistent_volume} stands for it there")]
    Used {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// Its `PersistentVolume`.
        persistent_volume: String,
    },
    /// It fits nowhere.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// The pod that it was for is gone.
    #[error(
        "no pod waits for claim {0} any more, and its class wishes its volume on one NUMA node with the other volumes of \
         its pod: it is made once another pod uses the claim"
    )]
    NoPod(String),
    /// Its node refused it.
    #[error("node {node} refused volume {id}: {message}")]
    Refused {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// What the node's driver says.
        message: String,
    },
    /// Somebody deleted it meanwhile.
    #[error("volume {0} was deleted while it was being made: try again")]
    Vanished(VolumeId),
    /// Its node takes longer than the caller waits.
    #[error("node {node} has not finished volume {id} in time, and goes on meanwhile: {state}")]
    Deadline {
        /// The volume.
        id: VolumeId,
        /// Its node.
        node: String,
        /// Where it stands.
        state: String,
    },
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CreateError {
    /// CSI "CreateVolume Errors", and what external-provisioner makes of each code: after `RESOURCE_EXHAUSTED` the pod is
    /// scheduled anew, after ABORTED, UNAVAILABLE and `DEADLINE_EXCEEDED` the call is repeated for the same node.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Request(error) => request_code(error),
            Self::NoPlace(no_place) => no_place_code(no_place),
            Self::NoPod(_) | Self::Refused { .. } => Code::ResourceExhausted,
            Self::Different { .. } => Code::AlreadyExists,
            Self::Used { .. } => Code::FailedPrecondition,
            Self::Busy(_) | Self::Deleting { .. } | Self::Moving { .. } | Self::Vanished(_) => Code::Aborted,
            Self::Deadline { .. } => Code::DeadlineExceeded,
            Self::Starting | Self::Stopping => Code::Unavailable,
            Self::Api(error) => super::api_code(error),
        }
    }
}

fn request_code(error: &RequestError) -> Code {
    match error {
        RequestError::Size(SizeError::BelowXfs { .. }) => Code::OutOfRange,
        RequestError::Size(SizeError::Zero | SizeError::Negative { .. } | SizeError::Reversed { .. })
        | RequestError::NoName
        | RequestError::Usage(_)
        | RequestError::Parameter(_)
        | RequestError::Topology(_)
        | RequestError::ContentSource
        | RequestError::MutableParameters => Code::InvalidArgument,
    }
}

fn no_place_code(no_place: &NoPlace) -> Code {
    match no_place.blame() {
        Blame::Size => Code::OutOfRange,
        Blame::Nodes => Code::ResourceExhausted,
        Blame::Time => Code::Aborted,
    }
}

impl Service {
    /// Makes a volume, or finds the one that an earlier call of that name made, and waits for it up to `patience`.
    ///
    /// # Errors
    /// Says why there is no such volume, or not yet. An object that was written stays when the time is up: the next call
    /// finds it.
    pub async fn create(&self, request: &CreateVolumeRequest, patience: Duration) -> Result<Volume, CreateError> {
        let until = Instant::now() + patience;
        let asked = Asked::read(request)?;
        let _turn = self
            .turns
            .take(&asked.id)
            .ok_or_else(|| CreateError::Busy(asked.id.clone()))?;
        if !self.index.read(Index::synced) {
            return Err(CreateError::Starting);
        }
        match self.api.get(&asked.id).await? {
            Some(volume) => self.take_up(&asked, volume, until).await,
            None => self.make(&asked, until).await,
        }
    }

    async fn take_up(&self, asked: &Asked, volume: PmemVolume, until: Instant) -> Result<Volume, CreateError> {
        let (id, node) = (asked.id.clone(), volume.spec.node.clone());
        match judge(&volume, asked) {
            Existing::Same => self.finish(&id, volume, until).await,
            Existing::Deleting => Err(CreateError::Deleting { id, node }),
            Existing::Refused => self.clear_away(&id, volume, until).await,
            Existing::Different(difference) => Err(CreateError::Different { id, difference }),
            Existing::Elsewhere => self.move_away(asked, &volume).await,
        }
    }

    /// Chooses a node and takes the space in one step, then writes.
    async fn make(&self, asked: &Asked, until: Instant) -> Result<Volume, CreateError> {
        let company = self.company(asked).await?;
        let now = Time(Timestamp::now());
        let (volume, assumption) = self.index.assume(|index| {
            let mut volume = asked.at(choose(index, &asked.places, &asked.request(), &company)?);
            volume.metadata.creation_timestamp = Some(now);
            Ok::<_, NoPlace>(volume)
        })?;
        let created = self.write(asked, &volume).await?;
        info!(volume = %asked.id, node = created.spec.node, size = %asked.size, "volume created");
        let finished = self.finish(&asked.id, created, until).await;
        drop::<Assumption>(assumption);
        finished
    }

    async fn write(&self, asked: &Asked, volume: &PmemVolume) -> Result<PmemVolume, CreateError> {
        match self.api.create(&asked.id, volume).await {
            Err(error) if error.is_conflict() => Err(CreateError::Busy(asked.id.clone())),
            result => Ok(result?),
        }
    }

    /// Waits for what becomes of the volume.
    async fn finish(&self, id: &VolumeId, volume: PmemVolume, until: Instant) -> Result<Volume, CreateError> {
        let uid = volume.metadata.uid.clone();
        let settled = async {
            if let Some(known) = outcome(Some(&volume), uid.as_deref()) {
                return known;
            }
            let look = |index: &Index| outcome(index.volume(id.as_str()), uid.as_deref());
            self.index.wait_for(look).await
        };
        let outcome = tokio::select! {
            settled = tokio::time::timeout_at(until, settled) => settled.ok(),
            () = self.stop.cancelled() => return Err(CreateError::Stopping),
        };
        match outcome {
            Some(Outcome::Ready(volume)) => Ok(to_csi(&volume)),
            Some(Outcome::Refused(volume)) => self.clear_away(id, *volume, until).await,
            Some(Outcome::Vanished) => Err(CreateError::Vanished(id.clone())),
            None => Err(self.too_late(id, volume)),
        }
    }

    /// A refused volume is deleted, so that the name is free for the next attempt on another node.
    async fn clear_away(&self, id: &VolumeId, volume: PmemVolume, until: Instant) -> Result<Volume, CreateError> {
        match self.api.delete_exactly(id, &volume).await {
            Err(error) if error.is_conflict() => return Err(CreateError::Busy(id.clone())),
            result => result.map(|_| ())?,
        }
        let uid = volume.metadata.uid.clone();
        let gone = self.index.wait_for(|index| {
            let known = index.volume(id.as_str());
            known.is_none_or(|known| known.metadata.uid != uid).then_some(())
        });
        // Whether it is gone in time or not: the answer is the same.
        let _late = tokio::time::timeout_at(until, gone).await.is_err();
        Err(CreateError::Refused {
            id: id.clone(),
            message: explanation(&volume).unwrap_or("its driver gives no reason").into(),
            node: volume.spec.node,
        })
    }

    /// The pod was scheduled to another node before its volume was bound. No `PersistentVolume` stands for the volume, so
    /// nobody can have used it.
    async fn move_away(&self, asked: &Asked, volume: &PmemVolume) -> Result<Volume, CreateError> {
        let (id, node) = (asked.id.clone(), volume.spec.node.clone());
        let persistent_volume = asked.persistent_volume.clone();
        if self.api.has_persistent_volume(&id, &persistent_volume).await? {
            return Err(CreateError::Used {
                id,
                node,
                persistent_volume,
            });
        }
        match self.api.delete_exactly(&id, volume).await {
            Err(error) if error.is_conflict() => Err(CreateError::Busy(id)),
            Err(error) => Err(error.into()),
            Ok(_) => {
                info!(volume = %id, node, "volume deleted: it is wanted on another node");
                Err(CreateError::Moving { id, node })
            }
        }
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

const UNSEEN: &str = "its driver has not seen it yet";

/// Where a volume stands, in words.
fn state(volume: &PmemVolume) -> String {
    match (phase(volume), explanation(volume)) {
        (None, None) => UNSEEN.into(),
        (None, Some(why)) => why.into(),
        (Some(phase), None) => format!("{phase:?}"),
        (Some(phase), Some(why)) => format!("{phase:?}: {why}"),
    }
}
