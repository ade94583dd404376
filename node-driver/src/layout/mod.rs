//! What the devices look like, and the layout revision that says when that changed.
//!
//! All listings of devices for volumes and for the PmemNode go through [`Layout::list`], so that a revision always belongs to
//! one listing.

mod bad_blocks;
mod bring_up;
mod events;
mod refusals;
mod revision;

use std::sync::Arc;

use placement::{Bytes, RegionId};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinError;

use crate::devices::{DeviceError, Devices, Inventory};

pub use bad_blocks::cover_bad_blocks;
pub use bring_up::bring_up;
pub use events::{Announcements, EventsError, Uevents, watch_devices};
use refusals::Refusals;
pub use revision::Revision;

/// The devices, and what they looked like last.
pub struct Layout {
    devices: Arc<dyn Devices>,
    /// Locked while devices are listed, so that an earlier listing never overtakes a later one.
    known: Mutex<Known>,
    last: watch::Sender<LastListing>,
}

/// What is known beside what the devices show.
struct Known {
    revision: Revision,
    refusals: Refusals,
}

/// The last listing that succeeded, and whether the devices can be listed now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastListing {
    /// The last one that succeeded; none before the first.
    pub listing: Option<Listing>,
    /// Why the listing after that one failed, if it did.
    pub error: Option<String>,
}

/// The devices at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Regions and namespaces.
    pub inventory: Arc<Inventory>,
    /// The `layoutRevision` of its free extents.
    pub revision: i64,
}

/// Why the devices could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The kernel or the backend failed.
    #[error(transparent)]
    Devices(#[from] DeviceError),
    /// A panic in the code that lists them.
    #[error("the thread that lists devices died")]
    Thread(#[from] JoinError),
}

impl Layout {
    /// The layout of `devices`, whose revisions continue `revision`. Nothing is listed yet.
    #[must_use]
    pub fn new(devices: Arc<dyn Devices>, revision: Revision) -> Self {
        Self {
            devices,
            known: Mutex::new(Known {
                revision,
                refusals: Refusals::default(),
            }),
            last: watch::Sender::new(LastListing::default()),
        }
    }

    /// The devices, to change them or to read their bytes.
    #[must_use]
    pub fn devices(&self) -> Arc<dyn Devices> {
        Arc::clone(&self.devices)
    }

    /// Lists the devices now. Subscribers are notified if anything changed.
    ///
    /// # Errors
    /// They cannot be listed. The last listing stays, and subscribers see the error beside it.
    pub async fn list(&self) -> Result<Listing, ListError> {
        let mut known = self.known.lock().await;
        let devices = self.devices();
        let listed = program::spawn_blocking(move || devices.inventory()).await;
        match listed.map_err(ListError::from).and_then(|inventory| Ok(inventory?)) {
            Ok(mut inventory) => {
                known.refusals.apply(&mut inventory);
                let listing = Listing {
                    revision: known.revision.after(&inventory),
                    inventory: Arc::new(inventory),
                };
                self.replace_if_new(LastListing {
                    listing: Some(listing.clone()),
                    error: None,
                });
                Ok(listing)
            }
            Err(error) => {
                let listing = self.last.borrow().listing.clone();
                let text = Some(program::chain(&error));
                self.replace_if_new(LastListing { listing, error: text });
                Err(error)
            }
        }
    }

    /// The kernel refused a namespace of `footprint` bytes in a region that has room for it, as it was `listed`. The next listings
    /// offer nothing as large there, until something changes in it, and for five minutes at most.
    pub async fn refused(&self, region: &RegionId, footprint: Bytes, listed: &Inventory) {
        self.known.lock().await.refusals.note(region, footprint, listed);
    }

    /// The last listing, with a signal whenever it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<LastListing> {
        self.last.subscribe()
    }

    fn replace_if_new(&self, new: LastListing) {
        self.last.send_if_modified(|last| {
            let changed = *last != new;
            *last = new;
            changed
        });
    }
}
