//! What a mark that a crash interrupted leaves disabled.

use super::{check_writable, enable, failed};
use crate::devices::error::DeviceError;
use crate::devices::inventory::{Inventory, Namespace};
use crate::devices::mark::{Mark, Owner, Stage};

/// Enables every namespace that [`left_down`] finds, whatever becomes of the others.
pub(super) fn all(inventory: &Inventory) -> Result<(), DeviceError> {
    let mut outcome = Ok(());
    for (found, mark) in left_down(inventory) {
        let enabled = enable(&found.device).map_err(|source| failed("enable", mark.volume, source));
        tracing::info!(
            volume = mark.volume,
            device = found.device,
            ok = enabled.is_ok(),
            "was left disabled, enabling"
        );
        outcome = outcome.and(enabled);
    }
    outcome
}

/// What was handed out has a block device, unless it is disabled. In a region that must not be written to, it stays so: the
/// kernel may write when it enables it.
fn left_down(inventory: &Inventory) -> impl Iterator<Item = (&Namespace, Mark<'_>)> {
    let down = inventory
        .namespaces
        .iter()
        .filter(|namespace| namespace.block.is_none());
    let writable = down.filter(|namespace| check_writable(inventory, &namespace.region).is_ok());
    writable.filter_map(|namespace| match namespace.owner() {
        Owner::Ours(mark) if matches!(mark.stage, Stage::HandedOut | Stage::InUse) => Some((namespace, mark)),
        Owner::Ours(_) | Owner::Newer { .. } | Owner::Foreign => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::path::PathBuf;

    use crds::{BusProvider, PersistenceDomain, RegionState};
    use placement::{Bytes, Extent, RegionId};

    use crate::devices::inventory::{NamespaceMode, Region};
    use crate::devices::mark::{name, uuid_of};

    fn region(state: RegionState) -> Region {
        Region {
            id: RegionId("r".into()),
            device: "region0".into(),
            bus: BusProvider::Nfit,
            numa: None,
            size: Bytes::gib(1),
            alignment: Bytes::mib(2).try_into().unwrap(),
            ways: 1,
            persistence_domain: PersistenceDomain::Unknown,
            state,
            message: String::new(),
            bad: Vec::new(),
        }
    }

    fn namespace(volume: &str, stage: Option<Stage>, block: Option<&str>) -> Namespace {
        let uuid = uuid_of(volume, 0);
        Namespace {
            name: stage.map_or_else(|| volume.to_owned(), |stage| name(volume, uuid, stage).unwrap()),
            uuid: stage.map(|_| uuid),
            is_recorded: true,
            device: "namespace0.0".into(),
            region: RegionId("r".into()),
            extent: Extent::new(Bytes::ZERO, Bytes::mib(16)),
            mode: NamespaceMode::Raw,
            block: block.map(PathBuf::from),
            usable: None,
        }
    }

    fn found(state: RegionState) -> Vec<String> {
        let inventory = Inventory {
            regions: vec![region(state)],
            namespaces: vec![
                namespace("up", Some(Stage::InUse), Some("/dev/pmem0")),
                namespace("made", Some(Stage::Making), None),
                namespace("handed-out", Some(Stage::HandedOut), None),
                namespace("used", Some(Stage::InUse), None),
                namespace("erased", Some(Stage::Erasing), None),
                namespace("bad", Some(Stage::Quarantined), None),
                namespace("theirs", None, None),
            ],
        };
        left_down(&inventory).map(|(_, mark)| mark.volume.to_owned()).collect()
    }

    #[test]
    fn only_what_was_handed_out_is_brought_up_and_only_where_the_kernel_may_write() {
        assert_eq!(found(RegionState::Ready), ["handed-out", "used"]);
        assert_eq!(found(RegionState::Degraded), ["handed-out", "used"]);
        assert!(found(RegionState::ReadOnly).is_empty());
        assert!(found(RegionState::NotSeen).is_empty());
    }
}
