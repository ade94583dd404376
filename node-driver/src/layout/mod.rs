//! What the devices look like, and the layout revision that says when that changed.
//!
//! All listings of devices for volumes and for the PmemNode go through [`Layout::list`], so that a revision always belongs to
//! one listing, and all who wait for one share it.

mod away;
mod bad_blocks;
mod bring_up;
mod events;
mod looks;
mod refusals;
mod revision;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use placement::{Bytes, RegionId};
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::devices::{DeviceError, Devices, Inventory};
use looks::Looks;

pub use away::Away;
pub use bad_blocks::cover_bad_blocks;
pub use bring_up::bring_up;
pub use events::{Announcements, EventsError, Uevents, watch_devices};
use refusals::Refusals;
pub use revision::Revision;

/// The devices, and what they looked like last.
pub struct Layout {
    devices: Arc<dyn Devices>,
    looks: Looks<Result<Listing, ListError>>,
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
    /// What its regions held that are not shown.
    pub away: Away,
    /// The `layoutRevision` of its free extents.
    pub revision: i64,
}

/// Why the devices could not be listed. Clones share it, as all do who waited for that listing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ListError {
    /// The kernel or the backend failed.
    #[error(transparent)]
    Devices(Arc<DeviceError>),
    /// A panic in the code that lists them.
    #[error("the thread that lists devices died")]
    Thread(#[source] Arc<JoinError>),
}

impl From<DeviceError> for ListError {
    fn from(error: DeviceError) -> Self {
        Self::Devices(Arc::new(error))
    }
}

impl From<JoinError> for ListError {
    fn from(error: JoinError) -> Self {
        Self::Thread(Arc::new(error))
    }
}

impl Layout {
    /// The layout of `devices`, whose revisions continue `revision`. Nothing is listed yet.
    #[must_use]
    pub fn new(devices: Arc<dyn Devices>, revision: Revision) -> Self {
        Self {
            devices,
            looks: Looks::default(),
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

    /// Lists the devices as they are from now on. Subscribers are notified if anything changed.
    ///
    /// # Errors
    /// They cannot be listed. The last listing stays, and subscribers see the error beside it.
    pub async fn list(&self) -> Result<Listing, ListError> {
        self.looks.answer(async || self.look().await).await
    }

    async fn look(&self) -> Result<Listing, ListError> {
        let devices = self.devices();
        let listed = program::spawn_blocking(move || devices.inventory()).await;
        let listed = listed.map_err(ListError::from).and_then(|inventory| Ok(inventory?));
        let before = self.last.borrow().listing.clone();
        let listing = listed.map(|inventory| self.numbered(inventory, before.as_ref()));
        let error = listing.as_ref().err().map(|error| program::chain(error));
        let listed = listing.clone().ok();
        self.replace_if_new(LastListing {
            listing: listed.or(before),
            error,
        });
        listing
    }

    /// An inventory that is as it was stays the same object: what follows from it need not be found out again.
    fn numbered(&self, mut inventory: Inventory, before: Option<&Listing>) -> Listing {
        let mut known = self.known();
        known.refusals.apply(&mut inventory);
        let same = before.filter(|before| *before.inventory == inventory);
        Listing {
            revision: known.revision.after(&inventory),
            away: before.map_or_else(Away::default, |before| Away::after(before, &inventory)),
            inventory: same.map_or_else(|| Arc::new(inventory), |before| Arc::clone(&before.inventory)),
        }
    }

    /// The status of a volume has this revision: no later listing has a lower one. True if the last one has.
    pub(crate) fn note_written(&self, revision: i64) -> bool {
        self.known().revision.note_written(revision)
    }

    /// The kernel refused a namespace of `footprint` bytes in a region that has room for it, as it was `listed`. The next listings
    /// offer nothing as large there, until something changes in it, and for five minutes at most.
    pub fn refused(&self, region: &RegionId, footprint: Bytes, listed: &Inventory) {
        self.known().refusals.note(region, footprint, listed);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Revision and refusals are each replaced whole, so a panic elsewhere leaves nothing half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
