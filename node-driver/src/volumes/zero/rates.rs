//! How fast volumes may be erased, by their ids. An erasure needs no object, so the node keeps what its class said.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use placement::Bytes;

use crate::node_file::Keep;

/// Bytes in a second for each volume whose class limits its erasure. Clones share it.
#[derive(Clone, Default)]
pub struct EraseRates(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// None: nothing is kept.
    keep: Option<Box<dyn Keep>>,
    /// None until they were read.
    rates: Mutex<Option<Rates>>,
}

type Rates = BTreeMap<String, Bytes>;

impl fmt::Debug for EraseRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EraseRates").field(&*self.rates()).finish()
    }
}

impl EraseRates {
    /// What was kept there. Without that, volumes are erased as fast as possible.
    #[must_use]
    pub fn kept_in(keep: impl Keep + 'static) -> Self {
        Self(Arc::new(Shared {
            keep: Some(Box::new(keep)),
            rates: Mutex::default(),
        }))
    }

    /// The rate of a volume, if it has one.
    #[must_use]
    pub fn of(&self, volume: &str) -> Option<Bytes> {
        self.read().as_ref()?.get(volume).copied()
    }

    /// The volume is erased at this rate; none: as fast as possible, or it is erased.
    pub fn set(&self, volume: &str, rate: Option<Bytes>) {
        let mut read = self.read();
        let rates = read.get_or_insert_default();
        let before = match rate {
            Some(rate) => rates.insert(volume.into(), rate),
            None => rates.remove(volume),
        };
        if before != rate {
            self.keep(rates);
        }
    }

    fn keep(&self, rates: &Rates) {
        let Some(keep) = &self.0.keep else {
            return;
        };
        let bytes = serde_json::to_vec(rates).map_err(std::io::Error::other);
        if let Err(error) = bytes.and_then(|bytes| keep.replace(&bytes)) {
            let error = program::chain(&error);
            tracing::warn!(
                error,
                "not kept how fast volumes may be erased: after a restart it is as fast as possible"
            );
        }
    }

    fn read(&self) -> MutexGuard<'_, Option<Rates>> {
        let mut rates = self.rates();
        if let (None, Some(keep)) = (&*rates, &self.0.keep) {
            let bytes = keep.read().map(Option::unwrap_or_default);
            let read = bytes.map(|bytes| serde_json::from_slice(&bytes).unwrap_or_default());
            *rates = read
                .inspect_err(|error| tracing::warn!(%error, "cannot read how fast volumes may be erased"))
                .ok();
        }
        rates
    }

    fn rates(&self) -> MutexGuard<'_, Option<Rates>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.0.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_file::NodeFile;

    #[test]
    fn rates_outlive_the_driver() {
        let folder = tempfile::tempdir().unwrap();
        let rates = || EraseRates::kept_in(NodeFile::erase_rates(folder.path()));
        assert_eq!(rates().of("v"), None);
        rates().set("v", Some(Bytes::mib(1)));
        rates().set("w", Some(Bytes::mib(2)));
        assert_eq!(
            (rates().of("v"), rates().of("w")),
            (Some(Bytes::mib(1)), Some(Bytes::mib(2)))
        );
        rates().set("v", None);
        assert_eq!((rates().of("v"), rates().of("w")), (None, Some(Bytes::mib(2))));
    }

    #[test]
    fn what_cannot_be_understood_limits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        NodeFile::erase_rates(folder.path()).replace(b"{").unwrap();
        let rates = EraseRates::kept_in(NodeFile::erase_rates(folder.path()));
        assert_eq!(rates.of("v"), None);
        rates.set("v", Some(Bytes::mib(1)));
        assert_eq!(rates.of("v"), Some(Bytes::mib(1)));
    }
}
