//! What the devices look like, and the counter that says when that changed.
//!
//! Every look at the devices in this process goes through [`Layout::look`], so that a revision always belongs to one look.

mod events;
mod revision;

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinError;

use crate::devices::{DeviceError, Devices, Inventory};
use crate::error_chain::chain;

pub use events::{EventsError, watch_devices};
pub use revision::Revision;

/// What the devices look like.
pub struct Layout {
    devices: Arc<dyn Devices>,
    /// Held while looking, so that an earlier look never overtakes a later one.
    revision: Mutex<Revision>,
    seen: watch::Sender<Seen>,
}

/// The outcome of the last looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The last look that succeeded.
    pub last: Option<Look>,
    /// Why the look after that one failed, if it did.
    pub error: Option<String>,
}

/// One look at the devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What was found.
    pub inventory: Arc<Inventory>,
    /// The `layoutRevision` that stands for these extents.
    pub revision: i64,
}

/// Why the devices could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The devices could not be listed.
    #[error(transparent)]
    Devices(#[from] DeviceError),
    /// The thread that did it died.
    #[error("the thread that lists devices died")]
    Thread(#[from] JoinError),
}

impl Layout {
    /// Looks at `devices`, counting on from `revision`.
    #[must_use]
    pub fn new(devices: Arc<dyn Devices>, revision: Revision) -> Self {
        Self {
            devices,
            revision: Mutex::new(revision),
            seen: watch::Sender::new(Seen::default()),
        }
    }

    /// The devices it looks at.
    #[must_use]
    pub fn devices(&self) -> Arc<dyn Devices> {
        Arc::clone(&self.devices)
    }

    /// Looks at the devices now.
    ///
    /// # Errors
    /// If they cannot be listed; the last state stays then.
    pub async fn look(&self) -> Result<Look, LookError> {
        let mut revision = self.revision.lock().await;
        let devices = self.devices();
        let listed = tokio::task::spawn_blocking(move || devices.inventory()).await;
        match listed.map_err(LookError::from).and_then(|found| Ok(found?)) {
            Ok(inventory) => {
                let look = Look {
                    revision: revision.of(&inventory),
                    inventory: Arc::new(inventory),
                };
                self.note(Seen {
                    last: Some(look.clone()),
                    error: None,
                });
                Ok(look)
            }
            Err(error) => {
                let last = self.seen.borrow().last.clone();
                let text = Some(chain(&error));
                self.note(Seen { last, error: text });
                Err(error)
            }
        }
    }

    /// What was seen last, and a signal when that changes.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    fn note(&self, now: Seen) {
        self.seen.send_if_modified(|seen| {
            let changed = *seen != now;
            *seen = now;
            changed
        });
    }
}
