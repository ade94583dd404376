//! What a CreateVolume call means for a volume that is there already.

use crds::{NumaChoice, Phase, PmemVolume};
use placement::NumaWish;

use super::request::Asked;

/// What a CreateVolume call means for a volume of that name that is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is the volume that is asked for.
    Same,
    /// It is on its way out.
    Deleting,
    /// Its node refused it, and nothing was made.
    Refused,
    /// It is a different volume, and this is the difference.
    Different(String),
    /// It is on a node where it is of no use to the caller.
    Elsewhere,
}

/// Compares the volume that is there with the one that is asked for.
#[must_use]
pub fn judge(volume: &PmemVolume, asked: &Asked) -> Existing {
    if volume.metadata.deletion_timestamp.is_some() {
        return Existing::Deleting;
    }
    if phase(volume) == Some(Phase::Refused) {
        return Existing::Refused;
    }
    match difference(volume, asked) {
        Some(difference) => Existing::Different(difference),
        None if asked.places.allow(&volume.spec.node) => Existing::Same,
        None => Existing::Elsewhere,
    }
}

/// Where the volume stands.
#[must_use]
pub fn phase(volume: &PmemVolume) -> Option<Phase> {
    volume.status.as_ref()?.phase
}

fn difference(volume: &PmemVolume, asked: &Asked) -> Option<String> {
    let spec = &volume.spec;
    let parameters = &asked.parameters;
    if (spec.mode, spec.map) != (parameters.mode, parameters.map) {
        return Some(format!("it has mode {:?} and map {:?}", spec.mode, spec.map).to_lowercase());
    }
    if !is_what(parameters.numa, spec.numa) {
        return Some(format!("it is for NUMA node {}", String::from(spec.numa)));
    }
    if spec.erase != parameters.erase {
        return Some("it has another erase policy".into());
    }
    wrong_size(volume, asked)
}

/// Whether a volume that is to be on `numa` is what a class wishes. One that is together with others is on whichever it
/// came to.
fn is_what(wish: NumaWish, numa: NumaChoice) -> bool {
    wish == NumaWish::Together || wish == numa.into()
}

/// By its real size where that is known, else by what it was asked to be.
fn wrong_size(volume: &PmemVolume, asked: &Asked) -> Option<String> {
    let (required, limit) = (asked.size.required, asked.size.limit);
    let usable = volume.status.as_ref().and_then(|status| status.usable);
    let most = usable.or(volume.spec.limit);
    let least = usable.unwrap_or(volume.spec.required);
    let fits = least >= required && limit.is_none_or(|limit| most.is_some_and(|most| most <= limit));
    let is = usable.map_or("asked for", |_| "has");
    (!fits).then(|| format!("it {is} {least}, and this call asks for {}", asked.size))
}
