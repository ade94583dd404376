//! Space that the kernel refused in spite of all that it shows.

use std::collections::HashMap;
use std::time::Duration;

use placement::{Bytes, Extent, RegionId};
use tokio::time::Instant;

use crate::devices::Inventory;

/// How long a refusal is believed while nothing changes. What the kernel keeps back and does not show may come free without a
/// sign.
const BELIEVED: Duration = Duration::from_secs(5 * 60);

/// The last refusal of each region.
///
/// Without, the same namespace would be asked for again and again, and the claim would wait for ever instead of going to another
/// node.
#[derive(Debug, Default)]
pub(super) struct Refusals(HashMap<RegionId, Refusal>);

#[derive(Debug)]
struct Refusal {
    footprint: Bytes,
    /// The space between namespaces that seemed to have room for it.
    between: Vec<Extent>,
    at: Instant,
}

impl Refusals {
    /// The kernel refused a namespace of so many bytes in this region, as it was listed last.
    pub fn note(&mut self, region: &RegionId, footprint: Bytes, listed: &Inventory) {
        let Some(shown) = listed.region(region) else {
            return;
        };
        let between = listed.between_namespaces(shown);
        tracing::warn!(%region, %footprint, "the kernel refuses a namespace although there seems to be space: nothing as large is offered there for now");
        let at = Instant::now();
        let refusal = Refusal { footprint, between, at };
        self.0.insert(region.clone(), refusal);
    }

    /// Takes out of what the regions offer what the kernel refused, as long as nothing changed there.
    pub fn apply(&mut self, inventory: &mut Inventory) {
        self.0.retain(|id, refusal| {
            let between = inventory.region(id).map(|region| inventory.between_namespaces(region));
            refusal.at.elapsed() < BELIEVED && between.as_ref() == Some(&refusal.between)
        });
        for region in &mut inventory.regions {
            if let Some(refusal) = self.0.get(&region.id) {
                let smaller = refusal.footprint.minus(region.alignment.get());
                region.offer.largest = region.offer.largest.min(smaller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::devices::{Attach, Devices, Emulated, NewNamespace};

    const FREE: Bytes = Bytes::mib(64);

    fn region() -> RegionId {
        RegionId("emulated-0".into())
    }

    /// The largest that a region of 64 MiB offers.
    fn largest(inventory: &Inventory) -> Bytes {
        let free = inventory.free(&inventory.regions[0]);
        free.iter().map(|extent| extent.size).max().unwrap_or_default()
    }

    fn seen(devices: &Emulated, refusals: &mut Refusals) -> Inventory {
        let mut inventory = devices.inventory().unwrap();
        refusals.apply(&mut inventory);
        inventory
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_not_offered_until_something_changes() {
        let directory = tempfile::tempdir().unwrap();
        let devices = Emulated::open(directory.path(), &["64Mi".parse().unwrap()], Attach::Nothing).unwrap();
        let listed = devices.inventory().unwrap();
        let mut refusals = Refusals::default();
        assert_eq!(largest(&seen(&devices, &mut refusals)), FREE);
        refusals.note(&region(), Bytes::mib(32), &listed);
        let offered = seen(&devices, &mut refusals);
        assert_eq!(largest(&offered), Bytes::mib(30));
        assert!(offered.to_status(|_| false)[0].message.contains("34 MiB of emulated-0"));
        let new = NewNamespace {
            volume: "v".into(),
            region: region(),
            footprint: Bytes::mib(16),
        };
        devices.create(&new).unwrap();
        assert_eq!(largest(&seen(&devices, &mut refusals)), Bytes::mib(48));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_tried_again_later() {
        let directory = tempfile::tempdir().unwrap();
        let devices = Emulated::open(directory.path(), &["64Mi".parse().unwrap()], Attach::Nothing).unwrap();
        let mut refusals = Refusals::default();
        refusals.note(&region(), Bytes::mib(32), &devices.inventory().unwrap());
        advance(BELIEVED).await;
        assert_eq!(largest(&seen(&devices, &mut refusals)), FREE);
    }
}
