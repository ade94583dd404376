//! Whether volumes can be made in a region, and what an administrator can do about it.

use crds::RegionState;
use ndctl::LabelArea;
use placement::Bytes;

/// What the kernel shows of a region.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) device: String,
    pub(super) is_enabled: bool,
    pub(super) is_read_only: bool,
    /// Whether the kernel hands out pieces of the region. It may do so without labels: on CXL, and on NFIT after labels
    /// were wiped. The first namespace would then write them, over what an administrator may want to keep.
    pub(super) has_labels: bool,
    pub(super) start: Bytes,
    /// What ties labels to the region. 0 if its modules have no serial numbers: labels are then written and never found again.
    pub(super) cookie: Option<u64>,
    pub(super) modules: Vec<ModuleFacts>,
}

/// What the kernel shows of a module.
#[derive(Clone, Debug)]
pub(super) struct ModuleFacts {
    pub(super) device: String,
    pub(super) is_locked: bool,
    /// What is in its label area, or why that cannot be read.
    pub(super) labels: Result<LabelArea, String>,
}

/// What the kernel can map: huge pages.
const MAPPABLE: Bytes = Bytes::mib(2);

/// The state of a region, and what to do about it.
pub(super) fn judge(facts: &Facts) -> (RegionState, String) {
    if !facts.is_enabled {
        (RegionState::Disabled, disabled(facts))
    } else if facts.is_read_only {
        (RegionState::ReadOnly, read_only(facts))
    } else if is_unprepared(facts) {
        (RegionState::Unprepared, unprepared(facts))
    } else if !facts.start.is_multiple_of(MAPPABLE) {
        (RegionState::Misaligned, misaligned(facts))
    } else if facts.cookie == Some(0) {
        (RegionState::Degraded, no_identity(facts))
    } else if let Some(message) = facts.modules.iter().find_map(|module| no_more(facts, module)) {
        (RegionState::Degraded, message)
    } else {
        (RegionState::Ready, String::new())
    }
}

/// A label area that cannot be read is another trouble: nobody can say whether there are labels.
fn is_unprepared(facts: &Facts) -> bool {
    let without = |module: &ModuleFacts| matches!(module.labels, Ok(LabelArea::None | LabelArea::Uninitialised));
    let unreadable = |module: &ModuleFacts| module.labels.is_err();
    facts.modules.iter().any(without) || !(facts.has_labels || facts.modules.iter().any(unreadable))
}

fn disabled(facts: &Facts) -> String {
    let device = &facts.device;
    match facts.modules.iter().find(|module| module.is_locked) {
        Some(locked) => format!(
            "{device} is disabled because {} is locked: unlock it, then `ndctl enable-region {device}`",
            locked.device
        ),
        None => format!("{device} is disabled: `ndctl enable-region {device}`"),
    }
}

fn read_only(facts: &Facts) -> String {
    let device = &facts.device;
    format!(
        "{device} is read-only: `echo 0 > /sys/bus/nd/devices/{device}/read_only && ndctl disable-region {device} && \
         ndctl enable-region {device}`; a module that cannot save its data stays read-only"
    )
}

fn unprepared(facts: &Facts) -> String {
    let device = &facts.device;
    let without = |module: &&ModuleFacts| module.labels == Ok(LabelArea::None);
    if facts.modules.is_empty() || facts.modules.iter().any(|module| without(&module)) {
        return format!("{device} has no label area, so it cannot be divided into volumes");
    }
    let blank = |module: &&ModuleFacts| module.labels == Ok(LabelArea::Uninitialised);
    let blank: Vec<&str> = facts
        .modules
        .iter()
        .filter(blank)
        .map(|module| &*module.device)
        .collect();
    if blank.is_empty() {
        return format!(
            "{device} has labels that the kernel does not use yet: `ndctl disable-region {device} && ndctl \
             enable-region {device}`"
        );
    }
    format!(
        "{device} has no labels: `ndctl disable-region {device} && ndctl init-labels -f {} && ndctl enable-region \
         {device}` (destroys what is on it)",
        blank.join(" ")
    )
}

fn misaligned(facts: &Facts) -> String {
    format!(
        "{} starts at {:#x}, which is not a multiple of {MAPPABLE}: change the memory layout in firmware",
        facts.device,
        facts.start.get()
    )
}

fn no_identity(facts: &Facts) -> String {
    format!(
        "{} gets no volumes: its modules have no serial number, so that the kernel would not find a namespace again after \
         a reboot",
        facts.device
    )
}

/// Why a module lets no further namespace be made, if so.
fn no_more(facts: &Facts, module: &ModuleFacts) -> Option<String> {
    let (region, module, labels) = (&facts.device, &module.device, &module.labels);
    match labels {
        Ok(LabelArea::Initialised { free_slots: 0 }) => Some(format!(
            "{region} can hold no more volumes: the label area of {module} is full until a namespace is destroyed"
        )),
        Ok(_) => None,
        Err(error) => Some(format!(
            "{region} gets no more volumes: the label area of {module} cannot be read ({error}); see `ndctl list --dimms \
             --health --dimm {module}`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(labels: LabelArea) -> Facts {
        with(Ok(labels))
    }

    fn with(labels: Result<LabelArea, String>) -> Facts {
        Facts {
            device: "region0".into(),
            is_enabled: true,
            is_read_only: false,
            has_labels: matches!(labels, Ok(LabelArea::Initialised { .. })),
            start: Bytes::gib(4),
            cookie: Some(0x5eed),
            modules: vec![ModuleFacts {
                device: "nmem0".into(),
                is_locked: false,
                labels,
            }],
        }
    }

    const LABELS: LabelArea = LabelArea::Initialised { free_slots: 16_346 };

    #[test]
    fn labels_make_it_ready() {
        assert_eq!(judge(&facts(LABELS)), (RegionState::Ready, String::new()));
    }

    #[test]
    fn says_how_to_write_labels() {
        let (state, message) = judge(&facts(LabelArea::Uninitialised));
        assert_eq!(state, RegionState::Unprepared);
        assert_eq!(
            message,
            "region0 has no labels: `ndctl disable-region region0 && ndctl init-labels -f nmem0 && ndctl enable-region \
             region0` (destroys what is on it)"
        );
    }

    #[test]
    fn a_region_that_the_kernel_would_label_by_itself_is_left_alone() {
        let wiped = Facts {
            has_labels: true,
            ..facts(LabelArea::Uninitialised)
        };
        assert_eq!(judge(&wiped), judge(&facts(LabelArea::Uninitialised)));
    }

    #[test]
    fn labels_that_cannot_be_read_keep_new_volumes_out() {
        for has_labels in [true, false] {
            let (state, message) = judge(&Facts {
                has_labels,
                ..with(Err("I/O error".into()))
            });
            assert_eq!(state, RegionState::Degraded);
            assert!(message.contains("nmem0") && message.contains("I/O error"), "{message}");
        }
    }

    #[test]
    fn says_that_no_labels_are_possible() {
        let legacy = Facts {
            modules: Vec::new(),
            ..facts(LabelArea::None)
        };
        for region in [legacy, facts(LabelArea::None)] {
            let (state, message) = judge(&region);
            assert_eq!(state, RegionState::Unprepared);
            assert!(
                message.contains("no label area") && !message.contains("init-labels"),
                "{message}"
            );
        }
    }

    #[test]
    fn other_troubles_by_name() {
        let ready = facts(LABELS);
        let cases = [
            (
                RegionState::Disabled,
                Facts {
                    is_enabled: false,
                    ..ready.clone()
                },
            ),
            (
                RegionState::ReadOnly,
                Facts {
                    is_read_only: true,
                    ..ready.clone()
                },
            ),
            (
                RegionState::Misaligned,
                Facts {
                    start: Bytes::mib(4097),
                    ..ready.clone()
                },
            ),
            (
                RegionState::Degraded,
                Facts {
                    cookie: Some(0),
                    ..ready
                },
            ),
            (RegionState::Degraded, facts(LabelArea::Initialised { free_slots: 0 })),
        ];
        for (state, facts) in cases {
            let (judged, message) = judge(&facts);
            assert_eq!(judged, state);
            assert!(message.contains("region0"), "{message}");
        }
    }
}
