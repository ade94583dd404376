//! What the label of a namespace says about it: whether it is ours, whose volume it is, and how far it has come.
//!
//! The label alone tells, in every label version: its name is the id of the volume and the stage, its UUID is derived from the
//! id (UUID v5), so that a stranger's namespace of the same name is not ours. `docs/on-media-format.md` is the specification.

use std::fmt::{self, Write};

use uuid::Uuid;

/// What our UUIDs are derived in. Never changes: every namespace of ours is known by it.
const OURS: Uuid = Uuid::from_u128(0x5d0c_1f6e_8f0b_4c39_9a57_2e6d_b1a7_40c4);
/// How many namespaces of one volume id can be on a node at once: a quarantined one keeps its UUID for itself.
const GENERATIONS: u8 = 16;
/// What stands between the id of a volume and its stage. No id has one.
const SEPARATOR: char = '.';
/// Bytes of a name in a label (`NSLABEL_NAME_LEN` in `drivers/nvdimm/label.h`, one of them for the NUL).
const LONGEST: usize = 63;

/// How far a namespace of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is being made. Nobody was ever handed it: it may be scrubbed or destroyed.
    Making,
    /// It was handed out and has no file system yet.
    HandedOut,
    /// It has somebody's data: never scrubbed, and never formatted again.
    InUse,
    /// Its volume was deleted: it is to be erased, then destroyed.
    Erasing,
    /// It has bytes that cannot be zeroed. It stays until an administrator destroys it.
    Quarantined,
}

impl Stage {
    /// Whether a namespace may go from this stage to `next`. Staying where it is writes the label again.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Making => matches!(next, Self::Making | Self::HandedOut | Self::Quarantined),
            Self::HandedOut => matches!(next, Self::HandedOut | Self::InUse | Self::Erasing),
            Self::InUse => matches!(next, Self::InUse | Self::Erasing),
            Self::Erasing => matches!(next, Self::Erasing | Self::Quarantined),
            Self::Quarantined => next == Self::Quarantined,
        }
    }

    /// Whether nobody has data in it: it may be scrubbed, written over and destroyed.
    #[must_use]
    pub fn is_expendable(self) -> bool {
        match self {
            Self::Making | Self::Erasing => true,
            Self::HandedOut | Self::InUse | Self::Quarantined => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Making => "being made",
            Self::HandedOut => "handed out",
            Self::InUse => "in use",
            Self::Erasing => "to be erased",
            Self::Quarantined => "in quarantine",
        })
    }
}

/// The mark of a namespace of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    /// The id of its volume.
    pub volume: &'a str,
    /// How far it has come.
    pub stage: Stage,
}

/// Whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// Ours, with this mark.
    Ours(Mark<'a>),
    /// Ours, with a mark that this version does not know: it is left alone.
    Newer {
        /// The id of its volume.
        volume: &'a str,
    },
    /// Somebody else's, or made before there were marks.
    Foreign,
}

/// The UUID of a namespace of `volume`.
#[must_use]
pub fn uuid_of(volume: &str, generation: u8) -> Uuid {
    let name = match generation {
        0 => volume.to_owned(),
        _ => format!("{volume}/{generation}"),
    };
    Uuid::new_v5(&OURS, name.as_bytes())
}

/// The UUID for a new namespace of `volume`: one that is not in use. None if all are.
pub fn free_uuid(volume: &str, is_used: impl Fn(Uuid) -> bool) -> Option<Uuid> {
    let mut all = (0..GENERATIONS).map(|generation| uuid_of(volume, generation));
    all.find(|uuid| !is_used(*uuid))
}

/// The id of the volume that a namespace of this name has, if its UUID is ours.
#[must_use]
pub fn volume_in(name: &str) -> &str {
    parts(name).0
}

fn parts(name: &str) -> (&str, &str) {
    name.split_once(SEPARATOR).unwrap_or((name, ""))
}

/// Whose a namespace with this name and UUID in its label is.
#[must_use]
pub fn read(name: &str, uuid: Option<Uuid>) -> Owner<'_> {
    let (volume, suffix) = parts(name);
    let Some(uuid) = uuid.filter(|_| !volume.is_empty()) else {
        return Owner::Foreign;
    };
    let stage = if is_derived(volume, uuid) {
        stage_of(suffix)
    } else {
        match suffix.split_once('-') {
            Some((stage, proof)) if proof == proof_of(volume, uuid) => earlier_stage_of(stage),
            _ => return Owner::Foreign,
        }
    };
    match stage {
        Some(stage) => Owner::Ours(Mark { volume, stage }),
        None => Owner::Newer { volume },
    }
}

/// The name that marks a namespace of `volume` with this UUID. One that was made before there were marks has another UUID,
/// which cannot change: its name proves instead that it was marked. None if that is too long for a label.
#[must_use]
pub fn name(volume: &str, uuid: Uuid, stage: Stage) -> Option<String> {
    let name = if is_derived(volume, uuid) {
        match stage {
            Stage::InUse => volume.to_owned(),
            other => format!("{volume}{SEPARATOR}{}", letter(other)),
        }
    } else {
        format!("{volume}{SEPARATOR}{}-{}", letter(stage), proof_of(volume, uuid))
    };
    (name.len() <= LONGEST).then_some(name)
}

fn is_derived(volume: &str, uuid: Uuid) -> bool {
    (0..GENERATIONS).any(|generation| uuid_of(volume, generation) == uuid)
}

fn letter(stage: Stage) -> char {
    match stage {
        Stage::Making => 'm',
        Stage::HandedOut => 'u',
        Stage::InUse => 'i',
        Stage::Erasing => 'e',
        Stage::Quarantined => 'q',
    }
}

/// In use is the bare id, so that `ndctl list` shows a volume under its own name.
fn stage_of(suffix: &str) -> Option<Stage> {
    match suffix {
        "" => Some(Stage::InUse),
        "m" => Some(Stage::Making),
        "u" => Some(Stage::HandedOut),
        "e" => Some(Stage::Erasing),
        "q" => Some(Stage::Quarantined),
        _ => None,
    }
}

/// Nothing is made in this way any more.
fn earlier_stage_of(letter: &str) -> Option<Stage> {
    match letter {
        "u" => Some(Stage::HandedOut),
        "i" => Some(Stage::InUse),
        "e" => Some(Stage::Erasing),
        "q" => Some(Stage::Quarantined),
        _ => None,
    }
}

/// 48 bits that depend on both: nobody has them in a name by accident.
fn proof_of(volume: &str, uuid: Uuid) -> String {
    let derived = Uuid::new_v5(&OURS, format!("{volume} {uuid}").as_bytes());
    derived.as_bytes().iter().take(6).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ID: &str = "pvc-6c2f5c2e-52a5-4c2a-8a62-5a1f1d1f0a11";
    const ALL: [Stage; 5] = [
        Stage::Making,
        Stage::HandedOut,
        Stage::InUse,
        Stage::Erasing,
        Stage::Quarantined,
    ];

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for stage in ALL {
            for generation in [0, 1, GENERATIONS - 1] {
                let uuid = uuid_of(ID, generation);
                let name = name(ID, uuid, stage).unwrap();
                assert_eq!(read(&name, Some(uuid)), Owner::Ours(Mark { volume: ID, stage }));
            }
        }
    }

    #[test]
    fn a_namespace_of_before_is_marked_by_its_name_alone() {
        let random = Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef);
        for stage in [Stage::HandedOut, Stage::InUse, Stage::Erasing] {
            let name = name(ID, random, stage).unwrap();
            assert_eq!(read(&name, Some(random)), Owner::Ours(Mark { volume: ID, stage }));
            assert_eq!(read(&name, Some(Uuid::from_u128(1))), Owner::Foreign);
        }
        assert_eq!(read(ID, Some(random)), Owner::Foreign);
        assert_eq!(name(&"x".repeat(63), random, Stage::InUse), None);
    }

    #[rstest]
    #[case::no_uuid(ID, None)]
    #[case::another_uuid(ID, Some(Uuid::from_u128(7)))]
    #[case::uuid_of_another(ID, Some(uuid_of("pvc-2", 0)))]
    #[case::no_name("", Some(uuid_of("", 0)))]
    fn others_are_foreign(#[case] name: &str, #[case] uuid: Option<Uuid>) {
        assert_eq!(read(name, uuid), Owner::Foreign);
    }

    #[test]
    fn an_unknown_stage_is_of_a_newer_version() {
        let uuid = Some(uuid_of(ID, 0));
        for suffix in ["p2", "x", "m2", "u.1"] {
            assert_eq!(read(&format!("{ID}.{suffix}"), uuid), Owner::Newer { volume: ID });
        }
    }

    /// What is on devices cannot be changed any more.
    #[test]
    fn uuids_are_as_documented() {
        assert_eq!(uuid_of("pvc-1", 0).to_string(), "d56b0f85-bbb1-51bc-a10b-1d92a9d2b6a3");
    }
}
