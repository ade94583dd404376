//! What a node's driver made of a volume that a call waits for.

use crds::{Phase, PmemVolume};
use kube::ResourceExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::controller::volume_status::{is_gone, meets_another, phase};
use crate::index::{Index, SharedIndex};

/// How the provisioning of a volume ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ProvisioningResult {
    /// It can be staged.
    Ready(Box<PmemVolume>),
    /// It does not fit on its node, and nothing was made.
    Refused(Box<PmemVolume>),
    /// A namespace of that name is there, and is not what the volume asks for.
    MeetsAnother(Box<PmemVolume>),
    /// It had a namespace, which is gone.
    Gone(Box<PmemVolume>),
    /// Somebody deleted it before it was ready.
    Deleted,
}

/// Why a call stopped waiting before provisioning ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The caller's time is up.
    TimeUp,
    /// The operator is stopping.
    Stopping,
}

/// How the provisioning of the volume with `uid` ended, or none while it goes on. `volume` is what the watch last showed
/// under its name: nothing, or a volume with another uid, means that this one has not been shown yet.
#[must_use]
pub fn provisioning_result(volume: Option<&PmemVolume>, uid: Option<&str>) -> Option<ProvisioningResult> {
    let volume = volume.filter(|volume| volume.metadata.uid.as_deref() == uid)?;
    if volume.metadata.deletion_timestamp.is_some() {
        return Some(ProvisioningResult::Deleted);
    }
    // Whatever its phase: it may be of the time when the object asked for that.
    if meets_another(volume) {
        return Some(ProvisioningResult::MeetsAnother(Box::new(volume.clone())));
    }
    if is_gone(volume) {
        return Some(ProvisioningResult::Gone(Box::new(volume.clone())));
    }
    match phase(volume)? {
        Phase::Ready => Some(ProvisioningResult::Ready(Box::new(volume.clone()))),
        Phase::Refused => Some(ProvisioningResult::Refused(Box::new(volume.clone()))),
        Phase::Provisioning => None,
        Phase::Erasing => Some(ProvisioningResult::Deleted),
    }
}

/// Waits until the provisioning of `volume` has ended, as the watch shows it.
///
/// # Errors
/// If it has not ended by `until`, or the operator stops before. The node goes on with the volume in both cases.
pub async fn wait_for_node(
    index: &SharedIndex,
    volume: &PmemVolume,
    until: Instant,
    stop: &CancellationToken,
) -> Result<ProvisioningResult, Unfinished> {
    let (name, uid) = (volume.name_any(), volume.metadata.uid.as_deref());
    if let Some(result) = provisioning_result(Some(volume), uid) {
        return Ok(result);
    }
    let mut was_shown = false;
    let result = index.wait_for(|index: &Index| {
        let shown = index.volume(&name).filter(|shown| shown.metadata.uid.as_deref() == uid);
        let vanished = was_shown && shown.is_none();
        was_shown |= shown.is_some();
        if vanished {
            return Some(ProvisioningResult::Deleted);
        }
        provisioning_result(shown, uid)
    });
    tokio::select! {
        biased;
        result = tokio::time::timeout_at(until, result) => result.map_err(|_| Unfinished::TimeUp),
        () = stop.cancelled() => Err(Unfinished::Stopping),
    }
}
