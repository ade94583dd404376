//! One at a time works on a volume.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The volumes that are being changed or looked at for their users, by their ids.
#[derive(Debug, Default)]
pub(super) struct AtWork {
    volumes: Mutex<BTreeSet<String>>,
    ended: Condvar,
}

/// Work on a volume, until it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Work<'a> {
    at_work: &'a AtWork,
    volume: String,
}

impl AtWork {
    /// Waits until nobody else works on `volume`.
    pub(super) fn on(&self, volume: &str) -> Work<'_> {
        let waited = self
            .ended
            .wait_while(self.volumes(), |volumes| volumes.contains(volume));
        let mut volumes = waited.unwrap_or_else(PoisonError::into_inner);
        volumes.insert(volume.to_owned());
        Work {
            at_work: self,
            volume: volume.to_owned(),
        }
    }

    fn volumes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.at_work.volumes().remove(&self.volume);
        self.at_work.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn only_who_wants_the_same_volume_waits() {
        let at_work = AtWork::default();
        let (told, hears) = mpsc::channel();
        let first = at_work.on("v");
        thread::scope(|scope| {
            scope.spawn(|| {
                let _second = at_work.on("v");
                told.send("second").unwrap();
            });
            let _other = at_work.on("w");
            assert!(hears.try_recv().is_err());
            drop(first);
            assert_eq!(hears.recv().unwrap(), "second");
        });
    }
}
