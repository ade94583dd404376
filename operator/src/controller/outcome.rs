//! What became of a volume that somebody waits for.

use crds::{Phase, PmemVolume};

use super::existing::phase;

/// What became of a volume.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It can be staged.
    Ready(Box<PmemVolume>),
    /// It does not fit on its node, and nothing was made.
    Refused(Box<PmemVolume>),
    /// Somebody deleted it.
    Vanished,
}

/// What became of the volume with `uid`, once that is settled; `volume` is what was last seen under that name. A volume
/// that is not there, or another one in its place, may mean that this one has not been seen yet.
#[must_use]
pub fn outcome(volume: Option<&PmemVolume>, uid: Option<&str>) -> Option<Outcome> {
    let volume = volume.filter(|volume| volume.metadata.uid.as_deref() == uid)?;
    if volume.metadata.deletion_timestamp.is_some() {
        return Some(Outcome::Vanished);
    }
    match phase(volume)? {
        Phase::Ready => Some(Outcome::Ready(Box::new(volume.clone()))),
        Phase::Refused => Some(Outcome::Refused(Box::new(volume.clone()))),
        Phase::Provisioning => None,
        Phase::Erasing => Some(Outcome::Vanished),
    }
}

/// What the driver says about a volume that is not there (yet): the message of its condition `Provisioned`.
#[must_use]
pub fn explanation(volume: &PmemVolume) -> Option<&str> {
    let conditions = &volume.status.as_ref()?.conditions;
    let provisioned = conditions.iter().find(|condition| condition.type_ == "Provisioned")?;
    Some(&provisioned.message)
}
