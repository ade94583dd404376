//! Whether volumes can be made in a region, and what an administrator can do about it.

use crds::RegionState;
use ndctl::LabelArea;
use placement::Bytes;

/// What the kernel shows of a region.
#[derive(Clone, Debug)]
pub(super) struct RegionProperties {
    pub(super) device: String,
    pub(super) is_enabled: bool,
    pub(super) is_read_only: bool,
    /// Whether the kernel hands out pieces of the region. It may do so without labels: on CXL, and on NFIT after labels
    /// were wiped. The first namespace would then write them, over what an administrator may want to keep.
    pub(super) has_labels: bool,
    pub(super) start: Bytes,
    /// What ties labels to the region. 0 if its modules have no serial numbers: labels are then written and never found again.
    pub(super) cookie: Option<u64>,
    pub(super) modules: Vec<ModuleProperties>,
}

/// What the kernel shows of a module.
#[derive(Clone, Debug)]
pub(super) struct ModuleProperties {
    pub(super) device: String,
    pub(super) is_locked: bool,
    /// What is in its label area, or why that cannot be read.
    pub(super) labels: Result<LabelArea, String>,
}

/// Huge pages: DAX needs a start that is a multiple of them.
const MAPPABLE: Bytes = Bytes::mib(2);

/// The state of a region, and what to do about it.
pub(super) fn region_state(region: &RegionProperties) -> (RegionState, String) {
    if !region.is_enabled {
        (RegionState::Disabled, disabled(region))
    } else if region.is_read_only {
        (RegionState::ReadOnly, read_only(region))
    } else if is_unprepared(region) {
        (RegionState::Unprepared, unprepared(region))
    } else if !region.start.is_multiple_of(MAPPABLE) {
        (RegionState::Misaligned, misaligned(region))
    } else if region.cookie == Some(0) {
        (RegionState::Degraded, no_identity(region))
    } else if let Some(message) = region.modules.iter().find_map(|module| no_more(region, module)) {
        (RegionState::Degraded, message)
    } else {
        (RegionState::Ready, String::new())
    }
}

/// A label area that cannot be read is another state: there may be labels.
fn is_unprepared(region: &RegionProperties) -> bool {
    let without = |module: &ModuleProperties| matches!(module.labels, Ok(LabelArea::None | LabelArea::Uninitialised));
    let unreadable = |module: &ModuleProperties| module.labels.is_err();
    region.modules.iter().any(without) || !(region.has_labels || region.modules.iter().any(unreadable))
}

fn disabled(region: &RegionProperties) -> String {
    let device = &region.device;
    match region.modules.iter().find(|module| module.is_locked) {
        Some(locked) => format!(
            "{device} is disabled because {} is locked: unlock it, then `ndctl enable-region {device}`",
            locked.device
        ),
        None => format!("{device} is disabled: `ndctl enable-region {device}`"),
    }
}

fn read_only(region: &RegionProperties) -> String {
    let device = &region.device;
    format!(
        "{device} is read-only: `echo 0 > /sys/bus/nd/devices/{device}/read_only && ndctl disable-region {device} && \
         ndctl enable-region {device}`; a module that cannot save its data stays read-only"
    )
}

fn unprepared(region: &RegionProperties) -> String {
    let device = &region.device;
    let without = |module: &&ModuleProperties| module.labels == Ok(LabelArea::None);
    if region.modules.is_empty() || region.modules.iter().any(|module| without(&module)) {
        return format!("{device} has no label area, so it cannot be divided into volumes");
    }
    let blank = |module: &&ModuleProperties| module.labels == Ok(LabelArea::Uninitialised);
    let blank: Vec<&str> = region
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

fn misaligned(region: &RegionProperties) -> String {
    format!(
        "{} starts at {:#x}, which is not a multiple of {MAPPABLE}: change the memory layout in firmware",
        region.device,
        region.start.get()
    )
}

fn no_identity(region: &RegionProperties) -> String {
    format!(
        "{} gets no volumes: its modules have no serial number, so that the kernel would not find a namespace again after \
         a reboot",
        region.device
    )
}

/// Why a module lets no further namespace be made, if so.
fn no_more(region: &RegionProperties, module: &ModuleProperties) -> Option<String> {
    let (region, module, labels) = (&region.device, &module.device, &module.labels);
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

    fn region(labels: LabelArea) -> RegionProperties {
        region_with(Ok(labels))
    }

    fn region_with(labels: Result<LabelArea, String>) -> RegionProperties {
        RegionProperties {
            device: "region0".into(),
            is_enabled: true,
            is_read_only: false,
            has_labels: matches!(labels, Ok(LabelArea::Initialised { .. })),
            start: Bytes::gib(4),
            cookie: Some(0x5eed),
            modules: vec![ModuleProperties {
                device: "nmem0".into(),
                is_locked: false,
                labels,
            }],
        }
    }

    const LABELS: LabelArea = LabelArea::Initialised { free_slots: 16_346 };

    #[test]
    fn labels_make_it_ready() {
        assert_eq!(region_state(&region(LABELS)), (RegionState::Ready, String::new()));
    }

    #[test]
    fn says_how_to_write_labels() {
        let (state, message) = region_state(&region(LabelArea::Uninitialised));
        assert_eq!(state, RegionState::Unprepared);
        assert_eq!(
            message,
            "region0 has no labels: `ndctl disable-region region0 && ndctl init-labels -f nmem0 && ndctl enable-region \
             region0` (destroys what is on it)"
        );
    }

    #[test]
    fn a_region_that_the_kernel_would_label_by_itself_is_left_alone() {
        let wiped = RegionProperties {
            has_labels: true,
            ..region(LabelArea::Uninitialised)
        };
        assert_eq!(region_state(&wiped), region_state(&region(LabelArea::Uninitialised)));
    }

    #[test]
    fn labels_that_cannot_be_read_keep_new_volumes_out() {
        for has_labels in [true, false] {
            let (state, message) = region_state(&RegionProperties {
                has_labels,
                ..region_with(Err("I/O error".into()))
            });
            assert_eq!(state, RegionState::Degraded);
            assert!(message.contains("nmem0") && message.contains("I/O error"), "{message}");
        }
    }

    #[test]
    fn says_that_no_labels_are_possible() {
        let legacy = RegionProperties {
            modules: Vec::new(),
            ..region(LabelArea::None)
        };
        for region in [legacy, region(LabelArea::None)] {
            let (state, message) = region_state(&region);
            assert_eq!(state, RegionState::Unprepared);
            assert!(
                message.contains("no label area") && !message.contains("init-labels"),
                "{message}"
            );
        }
    }

    #[test]
    fn other_troubles_by_name() {
        let ready = region(LABELS);
        let cases = [
            (
                RegionState::Disabled,
                RegionProperties {
                    is_enabled: false,
                    ..ready.clone()
                },
            ),
            (
                RegionState::ReadOnly,
                RegionProperties {
                    is_read_only: true,
                    ..ready.clone()
                },
            ),
            (
                RegionState::Misaligned,
                RegionProperties {
                    start: Bytes::mib(4097),
                    ..ready.clone()
                },
            ),
            (
                RegionState::Degraded,
                RegionProperties {
                    cookie: Some(0),
                    ..ready
                },
            ),
            (RegionState::Degraded, region(LabelArea::Initialised { free_slots: 0 })),
        ];
        for (state, region) in cases {
            let (found, message) = region_state(&region);
            assert_eq!(found, state);
            assert!(message.contains("region0"), "{message}");
        }
    }
}
