//! What a CreateVolume call means for a volume of its name that exists.

use crds::{NumaChoice, Phase, PmemVolume};
use placement::NumaWish;

use crate::controller::deletion::recorded;
use crate::controller::request::CreateRequest;
use crate::controller::volume_status::phase;

/// What a CreateVolume call means for a volume of its name that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExistingVolume {
    /// It is the volume that is asked for.
    Same,
    /// It is being deleted.
    Deleting,
    /// Its deletion was begun: what says that it may be erased is there, but it is not deleted yet.
    DeletionBegun,
    /// Its node refused it, and nothing was made.
    Refused,
    /// It has another size, as the end of a sentence: "it has 28 MiB".
    OtherSize(String),
    /// It has other parameters, as the end of a sentence: "it has mode sector".
    OtherParameters(String),
    /// It is as asked for, but on a node that the call does not allow.
    OnOtherNode,
}

impl ExistingVolume {
    /// Compares the volume that exists with the one that is asked for.
    #[must_use]
    pub fn compare(volume: &PmemVolume, request: &CreateRequest) -> Self {
        if volume.metadata.deletion_timestamp.is_some() {
            return Self::Deleting;
        }
        if recorded(volume).is_some() {
            return Self::DeletionBegun;
        }
        if phase(volume) == Some(Phase::Refused) {
            return Self::Refused;
        }
        // Of a kept one, somebody may have data as it is and where it is, whatever the class says by now.
        let other_parameters = other_parameters(volume, request).filter(|_| !volume.is_kept());
        if let Some(difference) = other_parameters {
            return Self::OtherParameters(difference);
        }
        match other_size(volume, request) {
            Some(difference) => Self::OtherSize(difference),
            None if request.nodes.allow(&volume.spec.node) || volume.is_kept() => Self::Same,
            None => Self::OnOtherNode,
        }
    }
}

fn other_parameters(volume: &PmemVolume, request: &CreateRequest) -> Option<String> {
    let spec = &volume.spec;
    let parameters = &request.parameters;
    if (spec.mode, spec.map) != (parameters.mode, parameters.map) {
        return Some(format!("it has mode {:?} and map {:?}", spec.mode, spec.map).to_lowercase());
    }
    if !grants(spec.numa, parameters.numa) {
        return Some(format!("it is for NUMA node {}", String::from(spec.numa)));
    }
    (spec.erase != parameters.erase).then(|| "it has another erase policy".into())
}

/// Whether a volume with the choice `numa` is what a class with this wish gives. One that is together with others is on
/// whichever NUMA node the others are.
fn grants(numa: NumaChoice, wish: NumaWish) -> bool {
    wish == NumaWish::Together || wish == numa.into()
}

/// By its real size where that is known, else by the size in its spec.
fn other_size(volume: &PmemVolume, request: &CreateRequest) -> Option<String> {
    let (required, limit) = (request.size.required, request.size.limit);
    let usable = volume.status.as_ref().and_then(|status| status.usable);
    let most = usable.or(volume.spec.limit);
    let least = usable.unwrap_or(volume.spec.required);
    let fits = least >= required && limit.is_none_or(|limit| most.is_some_and(|most| most <= limit));
    let verb = usable.map_or("asked for", |_| "has");
    (!fits).then(|| format!("it {verb} {least}, and this call asks for {}", request.size))
}
