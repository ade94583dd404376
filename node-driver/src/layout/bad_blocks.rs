//! Bad blocks in free space are covered as soon as a listing shows them.

use std::time::Duration;

use placement::RegionId;
use program::spawn_blocking;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{LastListing, Layout, ListError};

const AFTER_ERROR: Duration = Duration::from_secs(60);

/// Covers the bad blocks in free space whenever a listing shows some that are not, until `stop`. What failed is repeated. No
/// volume waits for it: [`Devices::create`](crate::devices::Devices::create) covers them as well.
pub async fn cover_bad_blocks(layout: &Layout, stop: &CancellationToken) {
    let mut last = layout.subscribe();
    while !stop.is_cancelled() {
        let mut failed = false;
        for region in to_cover(&mut last) {
            if let Err(error) = cover(layout, region.clone()).await {
                let error = program::chain(&error);
                tracing::warn!(%region, error, "bad blocks in free space are not covered; it will be repeated");
                failed = true;
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            changed = last.changed() => if changed.is_err() { return },
            () = sleep(AFTER_ERROR), if failed => {}
        }
    }
}

fn to_cover(last: &mut watch::Receiver<LastListing>) -> Vec<RegionId> {
    let last = last.borrow_and_update();
    let inventory = last.listing.as_ref().map(|listing| &listing.inventory);
    inventory
        .into_iter()
        .flat_map(|inventory| inventory.to_cover())
        .cloned()
        .collect()
}

async fn cover(layout: &Layout, region: RegionId) -> Result<(), ListError> {
    tracing::info!(%region, "covering bad blocks in free space");
    let devices = layout.devices();
    spawn_blocking(move || devices.quarantine(&region)).await??;
    layout.list().await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use placement::{Bytes, Extent};

    use super::*;
    use crate::devices::{Attach, Devices, Emulated};
    use crate::layout::Revision;

    #[tokio::test]
    async fn what_a_listing_shows_is_covered() {
        let directory = tempfile::tempdir().unwrap();
        let regions = ["64Mi".parse().unwrap()];
        let devices = Arc::new(Emulated::open(directory.path(), &regions, Attach::Nothing).unwrap());
        let layout = Layout::new(Arc::clone(&devices) as Arc<dyn Devices>, Revision::default());
        let stop = CancellationToken::new();
        let covered = async {
            let before = layout.list().await.unwrap();
            let bad = Extent::new(Bytes::mib(11), Bytes::kib(4));
            devices.make_bad(&before.inventory.regions[0].id, bad).unwrap();
            layout.list().await.unwrap();
            let mut last = layout.subscribe();
            let is_covered = |last: &LastListing| {
                last.listing
                    .as_ref()
                    .is_some_and(|now| !now.inventory.namespaces.is_empty())
            };
            last.wait_for(is_covered).await.unwrap();
            stop.cancel();
        };
        tokio::join!(cover_bad_blocks(&layout, &stop), covered);
        let inventory = devices.inventory().unwrap();
        let region = &inventory.regions[0];
        assert_eq!(
            inventory.quarantine(region)[0].extent,
            Extent::new(Bytes::mib(10), Bytes::mib(2))
        );
        assert_eq!(inventory.namespaces[0].name, "bad_emulated-0_a00000.q");
    }
}
