//! Whose turn it is to choose a region.

use std::sync::{Arc, Mutex, PoisonError};

use cluster::{ShownRegions, SpaceInOrder, VolumeSpace};
use crds::PmemVolume;
use placement::Node;

use crate::devices::Inventory;

/// The devices and the volumes at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    pub inventory: Arc<Inventory>,
    pub volumes: Vec<Arc<PmemVolume>>,
}

/// Which volume is the first that is about to choose its region. Found out once for each moment: all who wait for it ask.
#[derive(Debug, Default)]
pub struct Turns(Mutex<Option<Turn>>);

#[derive(Debug)]
struct Turn {
    moment: Moment,
    node: String,
    first: Option<Arc<PmemVolume>>,
}

impl Turns {
    /// Whether an older volume of its node is about to choose its region, as `is_choosing` says of a volume in the free space that it
    /// finds. The operator and the extender count on this order: what a younger one takes first may send the older one to another
    /// region than they foresaw. One that is held up by anything else holds up nobody.
    pub fn is_behind(
        &self,
        volume: &PmemVolume,
        now: Moment,
        is_choosing: impl Fn(&PmemVolume, &Node) -> bool,
    ) -> bool {
        let first = self.first(&volume.spec.node, now, is_choosing);
        first.is_some_and(|first| VolumeSpace::from(&*first).comes_before(&VolumeSpace::from(volume)))
    }

    fn first(
        &self,
        node: &str,
        now: Moment,
        is_choosing: impl Fn(&PmemVolume, &Node) -> bool,
    ) -> Option<Arc<PmemVolume>> {
        // It is replaced whole, so a panic elsewhere leaves nothing half done.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = last.as_ref().filter(|turn| turn.node == node && turn.moment.is(&now)) {
            return turn.first.clone();
        }
        let first = now.first(node, is_choosing).cloned();
        *last = Some(Turn {
            moment: now,
            node: node.to_owned(),
            first: first.clone(),
        });
        first
    }
}

impl Moment {
    /// The same objects, which never change.
    fn is(&self, other: &Self) -> bool {
        let volumes = self.volumes.iter().zip(&other.volumes);
        Arc::ptr_eq(&self.inventory, &other.inventory)
            && self.volumes.len() == other.volumes.len()
            && volumes.into_iter().all(|(one, other)| Arc::ptr_eq(one, other))
    }

    fn first(&self, node: &str, is_choosing: impl Fn(&PmemVolume, &Node) -> bool) -> Option<&Arc<PmemVolume>> {
        let own = self.volumes.iter().filter(|other| other.spec.node == node);
        let mut volumes: Vec<_> = own.map(|volume| (VolumeSpace::from(&**volume), volume)).collect();
        volumes.sort_by(|(one, _), (other, _)| one.order().cmp(&other.order()));
        let regions = self.inventory.to_status(|_| false);
        let mut space = SpaceInOrder::new(ShownRegions::listed_now(&regions));
        for (takes, volume) in volumes {
            if is_choosing(volume, space.free()) {
                return Some(volume);
            }
            space.take(takes);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use placement::Bytes;

    use super::*;
    use crate::devices::{Attach, Devices, Emulated};
    use crate::volumes::plan::is_choosing;

    fn volume(name: &str, second: i64, mib: u32) -> Arc<PmemVolume> {
        let spec = serde_json::json!({ "node": "n", "required": Bytes::mib(mib), "mode": "fsdax" });
        let mut volume = PmemVolume::new(name, serde_json::from_value(spec).unwrap());
        volume.metadata.creation_timestamp = Some(Time(jiff::Timestamp::from_second(second).unwrap()));
        Arc::new(volume)
    }

    fn with_status(volume: &PmemVolume, status: serde_json::Value) -> Arc<PmemVolume> {
        let mut volume = volume.clone();
        volume.status = serde_json::from_value(status).unwrap();
        Arc::new(volume)
    }

    /// A region of 64 MiB, and these volumes, in whatever order.
    fn moment(volumes: Vec<Arc<PmemVolume>>) -> Moment {
        let directory = tempfile::tempdir().unwrap();
        let devices = Emulated::open(directory.path(), &["64Mi".parse().unwrap()], Attach::Nothing).unwrap();
        let inventory = Arc::new(devices.inventory().unwrap());
        Moment { inventory, volumes }
    }

    fn is_behind(turns: &Turns, volume: &PmemVolume, now: &Moment) -> bool {
        turns.is_behind(volume, now.clone(), |other, free| {
            is_choosing(other, &now.inventory, free)
        })
    }

    #[test]
    fn the_oldest_that_is_about_to_choose_is_first() {
        let [old, young] = [volume("z", 1, 14), volume("a", 2, 14)];
        let now = moment(vec![Arc::clone(&young), Arc::clone(&old)]);
        let turns = Turns::default();
        assert!(is_behind(&turns, &young, &now));
        assert!(!is_behind(&turns, &old, &now));
    }

    #[test]
    fn who_has_a_region_or_gets_none_holds_up_nobody() {
        let made = with_status(
            &volume("a", 1, 14),
            serde_json::json!({ "phase": "Provisioning", "region": "emulated-0" }),
        );
        let [large, young] = [volume("b", 2, 60), volume("c", 3, 14)];
        let mut elsewhere = (*volume("d", 1, 14)).clone();
        elsewhere.spec.node = "m".into();
        let now = moment(vec![made, large, Arc::clone(&young), Arc::new(elsewhere)]);
        assert!(!is_behind(&Turns::default(), &young, &now));
    }

    #[test]
    fn another_moment_has_another_first() {
        let [old, young] = [volume("a", 1, 14), volume("b", 2, 14)];
        let now = moment(vec![Arc::clone(&old), Arc::clone(&young)]);
        let turns = Turns::default();
        assert!(is_behind(&turns, &young, &now));
        let refused = with_status(&old, serde_json::json!({ "phase": "Refused" }));
        let later = Moment {
            volumes: vec![refused, Arc::clone(&young)],
            ..now
        };
        assert!(!is_behind(&turns, &young, &later));
    }

    /// How many volumes are looked at when each of so many asks once.
    fn looked_at_by_all(count: i64) -> usize {
        let waiting: Vec<_> = (0..count)
            .map(|second| volume(&format!("v{second}"), second, 60))
            .collect();
        let now = moment(waiting.clone());
        let (turns, looked_at) = (Turns::default(), Cell::new(0));
        for volume in &waiting {
            turns.is_behind(volume, now.clone(), |other, free| {
                looked_at.set(looked_at.get() + 1);
                is_choosing(other, &now.inventory, free)
            });
        }
        looked_at.get()
    }

    #[test]
    fn all_who_wait_ask_once() {
        for count in [10, 300] {
            let each_alone = usize::try_from(count).unwrap();
            assert!(looked_at_by_all(count) <= each_alone, "{count}");
        }
    }
}
