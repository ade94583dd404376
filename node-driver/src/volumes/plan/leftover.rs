//! The next step of a namespace that needs no object: its mark says that nobody has data in it.

use crate::devices::{Namespace, Stage};
use crate::volumes::zero::byte_state::{ByteState, Location};

/// What to do with a namespace, whatever the cluster says of its volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftoverStep {
    /// Nothing: it is a volume, or becomes one.
    Leave,
    /// Write zeros over every byte.
    Erase(Location),
    /// Mark it as something that stays out of use, or write again that it is to be erased.
    Mark(Stage),
    /// Destroy it, which frees its space.
    Destroy,
    /// Mark it as to be erased, if the cluster has its volume on another node. Nobody wrote anything into it, and nobody will.
    AskForAnother,
}

/// The next step of a namespace with a mark. `is_wanted`: there is an object that it is being made for;
/// only asked where it matters.
///
/// One that was never handed out has nobody's data. Its bytes are of unknown past, as those of free space are: whoever gets
/// them next scrubs them. One that was handed out and never used is a volume as long as no other node has it.
#[must_use]
pub fn next_step(namespace: &Namespace, stage: Stage, bytes: &ByteState, is_wanted: impl Fn() -> bool) -> LeftoverStep {
    let location = Location::of(namespace);
    match stage {
        Stage::Making if is_wanted() => LeftoverStep::Leave,
        Stage::HandedOut if !is_wanted() => LeftoverStep::AskForAnother,
        Stage::HandedOut | Stage::InUse | Stage::Quarantined => LeftoverStep::Leave,
        // A power loss would bring it back as a volume in use, without its bytes.
        Stage::Erasing if !namespace.is_recorded => LeftoverStep::Mark(Stage::Erasing),
        Stage::Making | Stage::Erasing if *bytes == ByteState::Bad(location.clone()) => {
            LeftoverStep::Mark(Stage::Quarantined)
        }
        Stage::Making => LeftoverStep::Destroy,
        Stage::Erasing if *bytes == ByteState::Zero(location.clone()) => LeftoverStep::Destroy,
        Stage::Erasing => LeftoverStep::Erase(location),
    }
}
