//! Whether volumes can be made in a region, and what an administrator can do about it.

use crds::RegionState;
use ndctl::DimmFailure;
use placement::{Bytes, MapLocation, Mode};

use super::agreement::Disagreement;

/// What the kernel and the modules show of a region.
#[derive(Clone, Debug)]
pub(super) struct RegionProperties {
    pub(super) device: String,
    pub(super) is_enabled: bool,
    pub(super) is_read_only: bool,
    /// Whether the kernel hands out pieces of the region. It may do so without labels: on CXL, and on NFIT after labels
    /// were wiped. The first namespace would then write them, over what an administrator may want to keep.
    pub(super) has_labels: bool,
    pub(super) start: Bytes,
    pub(super) size: Bytes,
    pub(super) identity: Identity,
    pub(super) modules: Vec<ModuleProperties>,
    /// A label that is not as the kernel shows it.
    pub(super) disagreement: Option<Disagreement>,
}

/// Whether a region is known again after a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// By its modules.
    Known,
    /// Its modules do not all say who they are: another set in its place could not be told from it, or the kernel would write
    /// labels and never find them again.
    Unknown,
}

/// What the kernel and the module itself show of a module.
#[derive(Clone, Debug)]
pub(super) struct ModuleProperties {
    pub(super) device: String,
    /// Whether the kernel's driver uses it.
    pub(super) is_enabled: bool,
    pub(super) is_locked: bool,
    pub(super) failures: Vec<DimmFailure>,
    /// What is in its label area, or why that cannot be read.
    pub(super) labels: Result<LabelSlots, String>,
}

/// What a label area has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelSlots {
    /// The module has no label area.
    NoArea,
    /// Nothing was ever written to it.
    Uninitialised,
    /// So many labels can still be written.
    Free(u64),
}

/// Huge pages: DAX needs a start that is a multiple of them.
const MAPPABLE: Bytes = Bytes::mib(2);

/// The state of a region, and what to do about it.
///
/// First whether all of it is seen: what is said afterwards would let absence count.
pub(super) fn region_state(region: &RegionProperties) -> (RegionState, String) {
    if !region.is_enabled {
        (RegionState::Disabled, disabled(region))
    } else if let Some(message) = not_seen(region) {
        (RegionState::NotSeen, message)
    } else if is_unprepared(region) {
        let message = unfit(region).unwrap_or_else(|| unprepared(region));
        (RegionState::Unprepared, message)
    } else if let Some(message) = unfit(region) {
        (RegionState::ReadOnly, message)
    } else if region.is_read_only {
        (RegionState::ReadOnly, read_only(region))
    } else if !region.start.is_multiple_of(MAPPABLE) {
        (RegionState::Misaligned, misaligned(region))
    } else if is_too_small(region.size) {
        (RegionState::Degraded, too_small(region))
    } else if region.identity == Identity::Unknown {
        (RegionState::Degraded, no_identity(region))
    } else if let Some(full) = region
        .modules
        .iter()
        .find(|module| module.labels == Ok(LabelSlots::Free(0)))
    {
        (RegionState::Degraded, no_more(region, full))
    } else {
        (RegionState::Ready, String::new())
    }
}

/// Why there may be namespaces that the kernel does not show, if so.
fn not_seen(region: &RegionProperties) -> Option<String> {
    let device = &region.device;
    let unreadable = |module: &ModuleProperties| {
        let (properties, error) = (module, module.labels.as_ref().err()?);
        let module = &properties.device;
        if !properties.is_enabled {
            return Some(format!(
                "{device} cannot be seen completely: {module} is disabled: when nothing in {device} is in use, `ndctl \
                 disable-region {device} && ndctl enable-dimm {module} && ndctl enable-region {device}`"
            ));
        }
        Some(format!(
            "{device} cannot be seen completely: the label area of {module} cannot be read ({error}); see `ndctl list \
             --dimms --health --dimm {module}`"
        ))
    };
    let unlike = |Disagreement { module, text }: &Disagreement| {
        // Enabling a region again does not make the kernel read labels again: it does when its driver takes the module
        // (nvdimm_probe in drivers/nvdimm/dimm.c; tried on 6.1).
        format!(
            "{device} cannot be seen completely: {module} has {text}: when nothing in it is in use, `ndctl disable-region \
             {device} && ndctl disable-dimm {module} && ndctl enable-dimm {module} && ndctl enable-region {device}`"
        )
    };
    let unreadable = region.modules.iter().find_map(unreadable);
    unreadable.or_else(|| region.disagreement.as_ref().map(unlike))
}

fn is_unprepared(region: &RegionProperties) -> bool {
    let without =
        |module: &ModuleProperties| matches!(module.labels, Ok(LabelSlots::NoArea | LabelSlots::Uninitialised));
    region.modules.iter().any(without) || !region.has_labels
}

/// Why nothing may be written to a region, if one of its modules may lose it. Zeros would be lost as well as data: what was
/// erased could come back.
fn unfit(region: &RegionProperties) -> Option<String> {
    let failing = region.modules.iter().find(|module| !module.failures.is_empty())?;
    let failures: Vec<String> = failing.failures.iter().map(ToString::to_string).collect();
    let (device, module) = (&region.device, &failing.device);
    Some(format!(
        "nothing is written to {device}: {module} {}; repair or replace it (`ndctl list --dimms --health --dimm {module}`)",
        failures.join(", ")
    ))
}

fn disabled(region: &RegionProperties) -> String {
    let device = &region.device;
    if let Some(locked) = region.modules.iter().find(|module| module.is_locked) {
        let module = &locked.device;
        return format!(
            "{device} is disabled because {module} is locked: unlock it, then `ndctl enable-region {device}`"
        );
    }
    let off = region.modules.iter().filter(|module| !module.is_enabled);
    let off: Vec<&str> = off.map(|module| &*module.device).collect();
    if off.is_empty() {
        return format!("{device} is disabled: `ndctl enable-region {device}`");
    }
    let off = off.join(" ");
    format!("{device} is disabled, and so is {off}: `ndctl enable-dimm {off} && ndctl enable-region {device}`")
}

fn read_only(region: &RegionProperties) -> String {
    let device = &region.device;
    format!(
        "{device} is read-only: `echo 0 > /sys/bus/nd/devices/{device}/read_only && ndctl disable-region {device} && \
         ndctl enable-region {device}`"
    )
}

fn unprepared(region: &RegionProperties) -> String {
    let device = &region.device;
    let without = |module: &&ModuleProperties| module.labels == Ok(LabelSlots::NoArea);
    if region.modules.is_empty() || region.modules.iter().any(|module| without(&module)) {
        return format!("{device} has no label area, so it cannot be divided into volumes");
    }
    let blank = |module: &&ModuleProperties| module.labels == Ok(LabelSlots::Uninitialised);
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

/// Whether not even the smallest volume has room in an empty region of so many bytes.
fn is_too_small(size: Bytes) -> bool {
    [Mode::Fsdax(MapLocation::Mem), Mode::Sector]
        .iter()
        .all(|mode| mode.usable(size).is_zero())
}

fn too_small(region: &RegionProperties) -> String {
    let (device, size) = (&region.device, region.size);
    format!("{device} gets no volumes: it has {size}, and the kernel enables no smaller namespace than one of 16 MiB")
}

fn no_identity(region: &RegionProperties) -> String {
    format!(
        "{} gets no volumes: a module of it has no serial number, so that it would not be known again after a reboot",
        region.device
    )
}

fn no_more(region: &RegionProperties, full: &ModuleProperties) -> String {
    format!(
        "{} can hold no more volumes: the label area of {} is full until a namespace is destroyed",
        region.device, full.device
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(labels: LabelSlots) -> RegionProperties {
        region_with(Ok(labels))
    }

    fn region_with(labels: Result<LabelSlots, String>) -> RegionProperties {
        RegionProperties {
            device: "region0".into(),
            is_enabled: true,
            is_read_only: false,
            has_labels: matches!(labels, Ok(LabelSlots::Free(_))),
            start: Bytes::gib(4),
            size: Bytes::gib(1),
            identity: Identity::Known,
            modules: vec![ModuleProperties {
                device: "nmem0".into(),
                is_enabled: true,
                is_locked: false,
                failures: Vec::new(),
                labels,
            }],
            disagreement: None,
        }
    }

    const LABELS: LabelSlots = LabelSlots::Free(16_346);

    #[test]
    fn labels_make_it_ready() {
        assert_eq!(region_state(&region(LABELS)), (RegionState::Ready, String::new()));
    }

    #[test]
    fn says_how_to_write_labels() {
        let (state, message) = region_state(&region(LabelSlots::Uninitialised));
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
            ..region(LabelSlots::Uninitialised)
        };
        assert_eq!(region_state(&wiped), region_state(&region(LabelSlots::Uninitialised)));
    }

    /// There may be labels, so nothing that is not shown is known not to be there.
    #[test]
    fn labels_that_cannot_be_read_hide_namespaces() {
        for has_labels in [true, false] {
            let (state, message) = region_state(&RegionProperties {
                has_labels,
                ..region_with(Err("I/O error".into()))
            });
            assert_eq!(state, RegionState::NotSeen);
            assert!(message.contains("nmem0") && message.contains("I/O error"), "{message}");
        }
    }

    #[test]
    fn a_label_without_its_namespace_comes_before_all_that_lets_absence_count() {
        let hidden = RegionProperties {
            disagreement: Some(Disagreement {
                module: "nmem0".into(),
                text: "the label \"x\"".into(),
            }),
            ..region(LABELS)
        };
        let mut unarmed = hidden.clone();
        unarmed.modules[0].failures.push(DimmFailure::NotArmed);
        let also = [
            hidden.clone(),
            unarmed,
            RegionProperties {
                is_read_only: true,
                ..hidden.clone()
            },
            RegionProperties {
                start: Bytes::mib(4097),
                ..hidden.clone()
            },
            RegionProperties {
                identity: Identity::Unknown,
                ..hidden
            },
        ];
        for region in also {
            let (state, message) = region_state(&region);
            assert_eq!(state, RegionState::NotSeen);
            let advice = "`ndctl disable-region region0 && ndctl disable-dimm nmem0 && ndctl enable-dimm nmem0 && ndctl \
                          enable-region region0`";
            assert!(message.contains(advice) && message.contains("\"x\""), "{message}");
        }
    }

    #[test]
    fn a_module_that_may_lose_data_is_not_written_to_whatever_the_kernel_allows() {
        for failure in [
            DimmFailure::NotArmed,
            DimmFailure::Save,
            DimmFailure::Restore,
            DimmFailure::Flush,
            DimmFailure::Map,
        ] {
            for is_read_only in [true, false] {
                let mut region = RegionProperties {
                    is_read_only,
                    ..region(LABELS)
                };
                region.modules[0].failures.push(failure);
                let (state, message) = region_state(&region);
                assert_eq!(state, RegionState::ReadOnly);
                assert!(message.contains("nmem0") && !message.contains("read_only"), "{message}");
            }
        }
    }

    #[test]
    fn nobody_is_told_to_prepare_a_module_that_may_lose_data() {
        let mut blank = region(LabelSlots::Uninitialised);
        blank.modules[0].failures.push(DimmFailure::NotArmed);
        let (state, message) = region_state(&blank);
        assert_eq!(state, RegionState::Unprepared);
        assert!(
            message.contains("not armed") && !message.contains("init-labels"),
            "{message}"
        );
    }

    #[test]
    fn says_that_no_labels_are_possible() {
        let legacy = RegionProperties {
            modules: Vec::new(),
            ..region(LabelSlots::NoArea)
        };
        for region in [legacy, region(LabelSlots::NoArea)] {
            let (state, message) = region_state(&region);
            assert_eq!(state, RegionState::Unprepared);
            assert!(
                message.contains("no label area") && !message.contains("init-labels"),
                "{message}"
            );
        }
    }

    #[test]
    fn a_module_that_is_disabled_is_enabled_before_its_region() {
        for is_enabled in [false, true] {
            let mut off = region_with(Err("no such device".into()));
            off.is_enabled = is_enabled;
            off.modules[0].is_enabled = false;
            let (_, message) = region_state(&off);
            assert!(
                message.contains("ndctl enable-dimm nmem0 && ndctl enable-region region0`"),
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
                    identity: Identity::Unknown,
                    ..ready
                },
            ),
            (
                RegionState::Degraded,
                RegionProperties {
                    size: Bytes::mib(8),
                    ..region(LABELS)
                },
            ),
            (RegionState::Degraded, region(LabelSlots::Free(0))),
        ];
        for (state, region) in cases {
            let (found, message) = region_state(&region);
            assert_eq!(found, state);
            assert!(message.contains("region0"), "{message}");
        }
    }
}
