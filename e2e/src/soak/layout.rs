//! Whether what is on the devices is what was confirmed, and nothing else.

use std::collections::BTreeMap;

use placement::{Bytes, Extent};

use super::finding::Finding;
use super::volume::{Place, Volume};
use super::world::World;
use crate::harness::test_vm::{Inventory, Namespace};

/// What an interruption may leave of the volume that it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It may be there, and have any mode.
    Possible,
    /// It has to be where it was.
    Certain,
}

/// A volume that is being worked on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What may be left of it.
    pub(super) presence: Presence,
}

/// Compares a listing with what was confirmed.
///
/// # Errors
/// A volume is away, changed or there twice, a namespace is nobody's, or space is.
pub(super) fn check(seen: &Inventory, world: &World, subject: Option<Subject<'_>>) -> Result<(), Finding> {
    let mut listed: BTreeMap<&str, &Namespace> = BTreeMap::new();
    for namespace in seen.namespaces.iter().filter(|namespace| !is_sweep(namespace)) {
        if listed.insert(namespace.volume(), namespace).is_some() {
            let name = namespace.volume();
            return Err(Finding::leaked(format!("{name} has a second namespace: {seen:?}")));
        }
    }
    for volume in world.volumes.values() {
        let found = listed.remove(&*volume.name);
        check_volume(volume, found, subject).map_err(|what| Finding::lost(format!("{what}: {seen:?}")))?;
    }
    let is_known = |name: &str| world.foreign.contains_key(name) || subject.is_some_and(|subject| subject.name == name);
    if let Some(name) = listed.keys().find(|name| !is_known(name)) {
        return Err(Finding::leaked(format!("{name} is nobody's: {seen:?}")));
    }
    check_space(seen)
}

/// What a sweep left that was killed: it counts as free, and goes as soon as somebody wants the space.
fn is_sweep(namespace: &Namespace) -> bool {
    namespace.name.starts_with("sweep_")
}

fn check_volume(volume: &Volume, found: Option<&Namespace>, subject: Option<Subject<'_>>) -> Result<(), String> {
    let (name, Some(place)) = (&volume.name, &volume.place) else {
        return Err(format!("{} was never made", volume.name));
    };
    let presence = subject
        .filter(|subject| subject.name == name)
        .map(|subject| subject.presence);
    match (found, presence) {
        (_, Some(Presence::Possible)) => Ok(()),
        (None, _) => Err(format!("{name} is not there")),
        (Some(found), _) if !is_at(found, place) => Err(format!("{name} is not at {place:?}")),
        (Some(_), Some(Presence::Certain)) => Ok(()),
        (Some(found), None) if found.is_recorded && has_its_device(found, volume, place) => Ok(()),
        (Some(_), None) => Err(format!("{name} is not as it was made, {place:?}")),
    }
}

fn is_at(found: &Namespace, place: &Place) -> bool {
    (&found.region, found.extent) == (&place.region, place.extent)
}

fn has_its_device(found: &Namespace, volume: &Volume, place: &Place) -> bool {
    found.mode == volume.kind.listed() && found.usable == Some(place.usable) && found.block.is_some()
}

/// What is free and what is taken are all of a region, and no byte is both.
fn check_space(seen: &Inventory) -> Result<(), Finding> {
    for region in &seen.regions {
        let here = seen.namespaces.iter().filter(|namespace| namespace.region == region.id);
        let taken = here.filter(|namespace| !is_sweep(namespace));
        let mut all: Vec<Extent> = taken
            .map(|namespace| namespace.extent)
            .chain(region.free.iter().copied())
            .collect();
        all.sort_unstable();
        let overlap = all.windows(2).find(|pair| pair[0].overlaps(pair[1]));
        let sum: Bytes = all.iter().map(|extent| extent.size).sum();
        if overlap.is_some() || sum != region.size {
            let device = &region.device;
            return Err(Finding::leaked(format!(
                "{sum} of {} of {device} are accounted for: {seen:?}",
                region.size
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use cluster::Filesystem;
    use placement::{MapLocation, Mode, NumaWish, RegionId};
    use serde_json::{Value, json};

    use crate::soak::finding::Harm;
    use crate::soak::kind::Kind;
    use crate::soak::volume::State;

    const MIB: i64 = 1 << 20;

    fn namespace(name: &str, start: i64) -> Value {
        json!({ "name": name, "is_recorded": true, "region": "r", "extent": { "start": start * MIB, "size": 16 * MIB },
            "mode": "fsdax", "block": "/dev/pmem0", "usable": 14 * MIB })
    }

    fn seen(free: i64, namespaces: &[Value]) -> Inventory {
        let free = json!([{ "start": (64 - free) * MIB, "size": free * MIB }]);
        let region = json!({ "id": "r", "device": "region0", "bus": "NFIT", "size": 64 * MIB, "alignment": 2 * MIB, "ways": 1,
            "persistenceDomain": "memory-controller", "state": "Ready", "free": free });
        serde_json::from_value(json!({ "backend": "", "regions": [region], "namespaces": namespaces })).unwrap()
    }

    fn world() -> World {
        let volume = Volume {
            name: "vol-1".to_owned(),
            kind: Kind {
                mode: Mode::Fsdax(MapLocation::Dev),
                fs: Some(Filesystem::Ext4),
            },
            required: Bytes::mib(14),
            numa: NumaWish::Any,
            place: Some(Place {
                region: RegionId("r".to_owned()),
                extent: Extent::new(Bytes::ZERO, Bytes::mib(16)),
                usable: Bytes::mib(14),
            }),
            state: State::Idle,
            pieces: Vec::new(),
        };
        let mut world = World::default();
        world.volumes.insert(volume.name.clone(), volume);
        world
    }

    fn harm<'a>(seen: &Inventory, subject: impl Into<Option<Subject<'a>>>) -> Option<Harm> {
        check(seen, &world(), subject.into()).err().map(|finding| finding.harm)
    }

    fn subject(name: &str, presence: Presence) -> Subject<'_> {
        Subject { name, presence }
    }

    #[test]
    fn what_was_confirmed_has_to_be_there_once_and_where_it_was() {
        assert_eq!(harm(&seen(48, &[namespace("vol-1", 0)]), None), None);
        assert_eq!(harm(&seen(64, &[]), None), Some(Harm::Lost));
        assert_eq!(harm(&seen(48, &[namespace("vol-1", 2)]), None), Some(Harm::Lost));
        let twice = seen(32, &[namespace("vol-1", 0), namespace("vol-1.u", 16)]);
        assert_eq!(harm(&twice, None), Some(Harm::Leaked));
    }

    #[test]
    fn space_belongs_to_somebody() {
        assert_eq!(harm(&seen(46, &[namespace("vol-1", 0)]), None), Some(Harm::Leaked));
        assert_eq!(harm(&seen(50, &[namespace("vol-1", 0)]), None), Some(Harm::Leaked));
        let nobodys = seen(32, &[namespace("vol-1", 0), namespace("vol-2.m", 16)]);
        assert_eq!(harm(&nobodys, None), Some(Harm::Leaked));
        assert_eq!(harm(&nobodys, subject("vol-2", Presence::Possible)), None);
    }

    #[test]
    fn only_what_is_being_erased_may_be_away() {
        let away = seen(64, &[]);
        assert_eq!(harm(&away, subject("vol-1", Presence::Possible)), None);
        assert_eq!(harm(&away, subject("vol-1", Presence::Certain)), Some(Harm::Lost));
    }
}
