//! How it is recorded in a PmemVolume that its bytes may be erased.

use crds::{CALLED, DELETE_VOLUME, FINALIZER, PmemVolume, UNUSED};
use serde_json::{Value, json};

/// Why the bytes of a volume may be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// DeleteVolume was called.
    Called,
    /// No `PersistentVolume` names it, so nobody can have used it. A node whose device says otherwise keeps the data.
    Unused,
}

/// How far the deletion of a volume is recorded.
///
/// It is recorded once the object says why its bytes may be erased, and is deleted: then its finalizer holds it until the
/// device itself says that they are to be erased. Whatever else happens to an object erases nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Completely: its node erases it.
    Recorded,
    /// Not, or in part.
    ToRecord,
    /// Somebody deleted the object alone, and it cannot be held any more: the API server takes no new finalizer on a deleted
    /// object. It vanishes, and the data stays.
    OfTheObjectAlone,
}

impl Deletion {
    /// How far it is recorded in `volume`.
    #[must_use]
    pub fn of(volume: &PmemVolume, reason: Reason) -> Self {
        let is_said = recorded(volume) == Some(reason) || recorded(volume) == Some(Reason::Called);
        match (volume.metadata.deletion_timestamp.is_some(), is_said) {
            (true, true) => Self::Recorded,
            (true, false) if !is_held(volume) => Self::OfTheObjectAlone,
            (true, false) | (false, _) => Self::ToRecord,
        }
    }
}

/// Why the bytes of `volume` may be erased, if they may: it is nobody's volume any more.
#[must_use]
pub fn recorded(volume: &PmemVolume) -> Option<Reason> {
    match volume.metadata.annotations.as_ref()?.get(DELETE_VOLUME)?.as_str() {
        UNUSED => Some(Reason::Unused),
        _ => Some(Reason::Called),
    }
}

/// Whether the operator itself decided that nobody has it: its deletion may have been interrupted.
#[must_use]
pub fn is_said_to_be_unused(volume: &PmemVolume) -> bool {
    recorded(volume) == Some(Reason::Unused)
}

/// `volume` with the record that its bytes may be erased, and with the finalizer that holds it when it is deleted.
pub fn with_record(mut volume: PmemVolume, reason: Reason) -> PmemVolume {
    let reason = if recorded(&volume) == Some(Reason::Called) {
        Reason::Called
    } else {
        reason
    };
    if !is_held(&volume) {
        volume
            .metadata
            .finalizers
            .get_or_insert_default()
            .push(FINALIZER.into());
    }
    let annotations = volume.metadata.annotations.get_or_insert_default();
    annotations.insert(DELETE_VOLUME.into(), reason.value().into());
    volume
}

/// The patch (RFC 7386) that makes `volume` into [`with_record`]; a conflict if it is not the version at the API server.
pub fn patch(volume: &PmemVolume, reason: Reason) -> Value {
    let recorded = with_record(volume.clone(), reason).metadata;
    json!({ "metadata": {
        "uid": recorded.uid,
        "resourceVersion": recorded.resource_version,
        "annotations": recorded.annotations,
        "finalizers": recorded.finalizers,
    } })
}

/// The patch (RFC 7386) that takes our finalizer off; a conflict if `volume` is not the version at the API server.
pub fn patch_without_finalizer(volume: &PmemVolume) -> Value {
    let finalizers = volume.metadata.finalizers.iter().flatten();
    let others: Vec<_> = finalizers.filter(|finalizer| *finalizer != FINALIZER).collect();
    json!({ "metadata": {
        "uid": volume.metadata.uid,
        "resourceVersion": volume.metadata.resource_version,
        "finalizers": others,
    } })
}

impl Reason {
    fn value(self) -> &'static str {
        match self {
            Self::Called => CALLED,
            Self::Unused => UNUSED,
        }
    }
}

fn is_held(volume: &PmemVolume) -> bool {
    let mut finalizers = volume.metadata.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume with these finalizers and this annotation.
    fn volume(is_deleted: bool, finalizers: &[&str], annotation: Option<&str>) -> PmemVolume {
        let spec = json!({ "node": "n", "required": 1, "mode": "fsdax" });
        let mut volume = PmemVolume::new("v", serde_json::from_value(spec).unwrap());
        let deleted = is_deleted.then(|| json!("2026-01-02T00:00:00Z"));
        volume.metadata.deletion_timestamp = serde_json::from_value(json!(deleted)).unwrap();
        volume.metadata.finalizers = Some(finalizers.iter().map(|finalizer| (*finalizer).into()).collect());
        volume.metadata.annotations = annotation.map(|value| [(DELETE_VOLUME.into(), value.into())].into());
        volume
    }

    #[test]
    fn a_deletion_is_recorded_by_annotation_and_deletion_together() {
        let of = |volume| Deletion::of(&volume, Reason::Called);
        assert_eq!(of(volume(false, &[], None)), Deletion::ToRecord);
        assert_eq!(of(volume(false, &[FINALIZER], Some(CALLED))), Deletion::ToRecord);
        assert_eq!(of(volume(true, &[FINALIZER], Some(CALLED))), Deletion::Recorded);
        assert_eq!(
            of(volume(true, &["other/one"], Some(CALLED))),
            Deletion::Recorded,
            "the device says it already"
        );
    }

    #[test]
    fn an_object_that_somebody_else_deleted_can_be_held_only_if_it_has_the_finalizer() {
        let of = |volume| Deletion::of(&volume, Reason::Called);
        assert_eq!(of(volume(true, &[FINALIZER], None)), Deletion::ToRecord);
        assert_eq!(of(volume(true, &["other/one"], None)), Deletion::OfTheObjectAlone);
    }

    #[test]
    fn a_call_says_more_than_that_nobody_used_it() {
        let unused = volume(true, &[FINALIZER], Some(UNUSED));
        assert_eq!(Deletion::of(&unused, Reason::Unused), Deletion::Recorded);
        assert_eq!(Deletion::of(&unused, Reason::Called), Deletion::ToRecord);
        let called = with_record(volume(false, &[], Some(CALLED)), Reason::Unused);
        assert_eq!(recorded(&called), Some(Reason::Called));
        assert_eq!(recorded(&with_record(unused, Reason::Called)), Some(Reason::Called));
    }

    #[test]
    fn finalizers_and_annotations_of_others_stay() {
        let mut volume = volume(false, &["other/one"], None);
        volume.metadata.annotations = Some([("other".into(), "kept".into())].into());
        let patch = patch(&volume, Reason::Called);
        assert_eq!(patch["metadata"]["finalizers"], json!(["other/one", FINALIZER]));
        assert_eq!(
            patch["metadata"]["annotations"],
            json!({ "other": "kept", DELETE_VOLUME: CALLED })
        );
        assert_eq!(
            with_record(volume.clone(), Reason::Called).metadata.finalizers,
            with_record(with_record(volume, Reason::Called), Reason::Called)
                .metadata
                .finalizers
        );
    }
}
