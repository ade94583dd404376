//! The space that is left for a volume.

use cluster::{ShownRegions, VolumeSpace};
use crds::PmemVolume;
use placement::Node;

use crate::devices::Inventory;

/// The free space that `volume` finds: without the namespaces that are there, and without those that its node has still to
/// make for older volumes among `all`.
///
/// The operator and the extender subtract pending volumes by the same rule and in the same order.
#[must_use]
pub fn free_for<'a>(volume: &PmemVolume, inventory: &Inventory, all: impl IntoIterator<Item = &'a PmemVolume>) -> Node {
    let older: Vec<VolumeSpace> = older_than(volume, all).map(VolumeSpace::from).collect();
    let regions = inventory.to_status(|_| false);
    ShownRegions::listed_now(&regions).free_space(&older)
}

/// Those of `all` on the volume's node that get their space before it.
fn older_than<'a>(
    volume: &PmemVolume,
    all: impl IntoIterator<Item = &'a PmemVolume>,
) -> impl Iterator<Item = &'a PmemVolume> {
    let own = VolumeSpace::from(volume);
    all.into_iter()
        .filter(move |other| other.spec.node == volume.spec.node && VolumeSpace::from(*other).comes_before(&own))
}

#[cfg(test)]
mod tests {
    use crds::{BusProvider, PersistenceDomain, RegionState};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use placement::{Alignment, Bytes, Extent, NumaNode, Offer, RegionId};
    use serde_json::{Value, json};

    use super::*;
    use crate::devices::{Namespace, NamespaceMode, Region, uuid_of};

    /// One ready region of 64 MiB, and one that is disabled.
    fn inventory(namespaces: Vec<Namespace>) -> Inventory {
        let region = |id: &str, state| Region {
            id: RegionId(id.into()),
            device: "region0".into(),
            bus: BusProvider::Nfit,
            numa: Some(NumaNode(0)),
            size: Bytes::mib(64),
            alignment: Alignment::try_from(Bytes::mib(2)).unwrap(),
            ways: 1,
            persistence_domain: PersistenceDomain::MemoryController,
            state,
            message: String::new(),
            bad: Vec::new(),
            offer: Offer::EVERYTHING,
        };
        Inventory {
            regions: vec![region("r", RegionState::Ready), region("off", RegionState::Disabled)],
            namespaces,
            unseen: Vec::new(),
            nothing: String::new(),
        }
    }

    fn namespace(name: &str) -> Namespace {
        Namespace {
            name: name.into(),
            uuid: Some(uuid_of(name, 0)),
            is_recorded: true,
            device: "namespace0.0".into(),
            region: RegionId("r".into()),
            extent: Extent::new(Bytes::ZERO, Bytes::mib(32)),
            mode: NamespaceMode::Raw,
            block: None,
            usable: None,
        }
    }

    /// A volume that takes 30 MiB.
    fn volume(name: &str, second: i64, status: Value) -> PmemVolume {
        let spec = json!({ "node": "n", "required": 28 << 20, "mode": "fsdax" });
        let mut volume = PmemVolume::new(name, serde_json::from_value(spec).unwrap());
        volume.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_second(second).unwrap()));
        volume.status = serde_json::from_value(status).unwrap();
        volume
    }

    /// MiB that are free for a volume that was made at second 5.
    fn free_beside(other: PmemVolume, namespaces: Vec<Namespace>) -> i64 {
        let own = volume("own", 5, Value::Null);
        let all = [own.clone(), other];
        let free = free_for(&own, &inventory(namespaces), &all);
        let extents = free.regions.iter().flat_map(|region| &region.free);
        extents.map(|extent| extent.size.get() >> 20).sum()
    }

    #[test]
    fn older_volumes_come_first() {
        for status in [
            Value::Null,
            json!({ "phase": "Provisioning" }),
            json!({ "phase": "Provisioning", "region": "r" }),
        ] {
            assert_eq!(free_beside(volume("a", 1, status.clone()), vec![]), 34);
            assert_eq!(free_beside(volume("z", 5, status.clone()), vec![]), 64);
            assert_eq!(free_beside(volume("a", 5, status.clone()), vec![]), 34);
            assert_eq!(free_beside(volume("a", 9, status), vec![]), 64);
        }
    }

    #[test]
    fn a_namespace_that_is_there_counts_once() {
        let made = volume("a", 1, json!({ "phase": "Provisioning", "region": "r" }));
        assert_eq!(free_beside(made, vec![namespace("a")]), 32);
    }

    #[test]
    fn nothing_is_kept_for_what_gets_no_namespace_any_more() {
        for phase in ["Refused", "Ready", "Erasing"] {
            assert_eq!(free_beside(volume("a", 1, json!({ "phase": phase })), vec![]), 64);
        }
        for status in [Value::Null, json!({ "phase": "Provisioning", "region": "r" })] {
            let mut deleted = volume("a", 1, status);
            deleted.metadata.deletion_timestamp = deleted.metadata.creation_timestamp.clone();
            assert_eq!(free_beside(deleted, vec![]), 64);
        }
    }

    #[test]
    fn nothing_is_kept_for_what_waits_for_another_region_or_is_on_another_node() {
        for region in ["off", "gone"] {
            let waiting = volume("a", 1, json!({ "phase": "Provisioning", "region": region }));
            assert_eq!(free_beside(waiting, vec![]), 64);
        }
        let mut elsewhere = volume("a", 1, Value::Null);
        elsewhere.spec.node = "m".into();
        assert_eq!(free_beside(elsewhere, vec![]), 64);
    }
}
