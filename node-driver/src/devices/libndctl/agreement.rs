//! Whether the labels on the modules of a region are those of the namespaces that the kernel shows.
//!
//! The kernel shows what it remembers, the modules have what the next boot will find. Where the two differ, nothing can be
//! said of what is not shown: the kernel passes over a label that it cannot use, and takes its space for free.

use ndctl::Label;
use placement::{Bytes, Extent};

use crate::devices::inventory::Namespace;

/// A module, and what it plays in a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// What the kernel calls the module.
    pub(super) module: &'a str,
    /// Where the region starts on it.
    pub(super) start: Bytes,
    /// How many of its bytes belong to the region.
    pub(super) size: Bytes,
    /// All labels on it, also those of other regions.
    pub(super) labels: &'a [Label],
}

impl<'a> Part<'a> {
    fn labels(self) -> impl Iterator<Item = &'a Label> {
        let own = Extent::new(self.start, self.size);
        let here = move |label: &&Label| own.overlaps(Extent::new(label.start, label.size));
        self.labels.iter().filter(here)
    }

    /// Where the piece of a namespace is on it, if the region has so many parts.
    fn piece(self, namespace: &Namespace, parts: usize) -> Extent {
        let share =
            |bytes: Bytes| Bytes::try_from(bytes.get() / i64::try_from(parts).unwrap_or(1).max(1)).unwrap_or(bytes);
        Extent::new(
            self.start.plus(share(namespace.extent.start)),
            share(namespace.extent.size),
        )
    }
}

/// Whether a label with the name and UUID of `namespace` is on each part of its region, and none of them is half written.
pub(super) fn is_recorded(namespace: &Namespace, parts: &[Part<'_>]) -> bool {
    let label = |part: &Part<'_>| {
        let mut own = part.labels().filter(|label| Some(label.uuid) == namespace.uuid);
        match (own.next(), own.next()) {
            (Some(label), None) => is_record(label, namespace, *part, parts.len()).then_some(label.position),
            _ => None,
        }
    };
    let Some(mut positions) = parts.iter().map(label).collect::<Option<Vec<u16>>>() else {
        return false;
    };
    positions.sort_unstable();
    positions.dedup();
    positions.len() == parts.len() && !parts.is_empty()
}

fn is_record(label: &Label, namespace: &Namespace, part: Part<'_>, parts: usize) -> bool {
    label.name == namespace.name
        && !label.is_updating
        && label.devices.is_none_or(|devices| usize::from(devices) == parts)
        && Extent::new(label.start, label.size) == part.piece(namespace, parts)
}

/// A label that is not as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// What the kernel calls the module.
    pub(super) module: String,
    /// What is there, and what the kernel shows of it.
    pub(super) text: String,
}

/// All labels of namespaces that the kernel does not show.
pub(super) fn unseen<'a>(namespaces: &[Namespace], parts: &[Part<'a>]) -> Vec<&'a Label> {
    let is_shown = |label: &Label| namespaces.iter().any(|namespace| namespace.uuid == Some(label.uuid));
    let all = parts.iter().flat_map(|part| part.labels());
    all.filter(|label| !is_shown(label)).collect()
}

/// The first label of a region for which the kernel does not show a namespace of the same place.
pub(super) fn disagreement(namespaces: &[Namespace], parts: &[Part<'_>]) -> Option<Disagreement> {
    let of_part = |part: &Part<'_>| {
        let mut seen: Vec<&Label> = Vec::new();
        part.labels().find_map(|label| {
            let is_second = seen.iter().any(|other| other.uuid == label.uuid);
            seen.push(label);
            let text = if is_second {
                Some("there are two with this UUID".into())
            } else {
                unlike(label, namespaces, *part, parts.len())
            };
            text.map(|text| Disagreement {
                module: part.module.into(),
                text: format!("{}, but {text}", described(label)),
            })
        })
    };
    parts.iter().find_map(of_part)
}

fn unlike(label: &Label, namespaces: &[Namespace], part: Part<'_>, parts: usize) -> Option<String> {
    let Some(namespace) = namespaces.iter().find(|namespace| namespace.uuid == Some(label.uuid)) else {
        return Some("the kernel shows no such namespace".into());
    };
    let piece = part.piece(namespace, parts);
    (piece != Extent::new(label.start, label.size)).then(|| {
        let Extent { start, size } = piece;
        format!("the kernel shows {} with {size} from {start} on", namespace.device)
    })
}

fn described(label: &Label) -> String {
    let Label {
        name,
        uuid,
        start,
        size,
        ..
    } = label;
    format!("the label {name:?} (UUID {uuid}), {size} from {start} on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::inventory::NamespaceMode;
    use placement::RegionId;
    use uuid::Uuid;

    const ONE: Uuid = Uuid::from_u128(1);

    fn namespace(uuid: Uuid, start: u32, size: u32) -> Namespace {
        Namespace {
            name: "vol".into(),
            uuid: Some(uuid),
            is_recorded: false,
            device: "namespace0.1".into(),
            region: RegionId("r".into()),
            extent: Extent::new(Bytes::mib(start), Bytes::mib(size)),
            mode: NamespaceMode::Raw,
            block: None,
            usable: None,
        }
    }

    fn label(position: u16, devices: u16, start: u32, size: u32) -> Label {
        Label {
            slot: 0,
            uuid: ONE,
            name: "vol".into(),
            start: Bytes::mib(start),
            size: Bytes::mib(size),
            position,
            devices: Some(devices),
            is_updating: false,
        }
    }

    /// The region has 512 MiB of each module, from 1 GiB on.
    fn parts<'a>(labels: &'a [Vec<Label>]) -> Vec<Part<'a>> {
        let part = |labels: &'a Vec<Label>| Part {
            module: "nmem0",
            start: Bytes::gib(1),
            size: Bytes::mib(512),
            labels,
        };
        labels.iter().map(part).collect()
    }

    /// Two modules with a namespace of 64 MiB, 128 MiB behind the start of the region.
    fn both() -> [Vec<Label>; 2] {
        [0, 1].map(|position| vec![label(position, 2, 1024 + 64, 32)])
    }

    #[test]
    fn recorded_on_every_module() {
        let vol = namespace(ONE, 128, 64);
        let labels = both();
        assert!(is_recorded(&vol, &parts(&labels)));
        assert_eq!(disagreement(std::slice::from_ref(&vol), &parts(&labels)), None);
        assert!(!is_recorded(&vol, &[]));
    }

    #[test]
    fn every_module_counts() {
        let vol = namespace(ONE, 128, 64);
        let changes: [fn(&mut Vec<Label>); 9] = [
            |labels| labels.clear(),
            |labels| labels[0].uuid = Uuid::from_u128(2),
            |labels| labels[0].name = "vol.m".into(),
            |labels| labels[0].is_updating = true,
            |labels| labels[0].devices = Some(1),
            |labels| labels[0].position = 0,
            |labels| labels[0].start = Bytes::mib(1024 + 128),
            |labels| labels[0].size = Bytes::mib(64),
            |labels| labels.push(labels[0].clone()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut labels = both();
            change(&mut labels[1]);
            assert!(!is_recorded(&vol, &parts(&labels)), "change {number}");
        }
        let nameless = Namespace { uuid: None, ..vol };
        assert!(!is_recorded(&nameless, &parts(&both())));
    }

    #[test]
    fn a_label_without_its_namespace_is_named() {
        let labels = [vec![label(0, 1, 1024, 64)]];
        let found = disagreement(&[], &parts(&labels)).unwrap();
        let expected = "the label \"vol\" (UUID 00000000-0000-0000-0000-000000000001), 64 MiB from 1 GiB on, but the kernel shows \
                        no such namespace";
        assert_eq!((&*found.module, &*found.text), ("nmem0", expected));
        assert_eq!(unseen(&[], &parts(&labels)), [&labels[0][0]]);
        assert!(unseen(&[namespace(ONE, 0, 64)], &parts(&labels)).is_empty());
    }

    #[test]
    fn a_label_of_another_size_or_place_is_named() {
        let labels = [vec![label(0, 1, 1024, 64)]];
        for shown in [namespace(ONE, 0, 32), namespace(ONE, 32, 64)] {
            let found = disagreement(&[shown], &parts(&labels)).unwrap();
            assert!(found.text.contains("namespace0.1"), "{found:?}");
        }
        let twice = [vec![label(0, 1, 1024, 64); 2]];
        assert!(disagreement(&[namespace(ONE, 0, 64)], &parts(&twice)).is_some());
    }

    #[test]
    fn labels_of_other_regions_on_the_module_do_not_count() {
        let labels = [vec![label(0, 1, 0, 1024), label(0, 1, 1024 + 512, 64)]];
        assert_eq!(disagreement(&[], &parts(&labels)), None);
    }

    /// It is known by what `is_recorded` says.
    #[test]
    fn a_namespace_without_a_label_is_seen() {
        assert_eq!(disagreement(&[namespace(ONE, 0, 64)], &parts(&[Vec::new()])), None);
    }
}
