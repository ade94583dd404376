//! Which places in the programs were reached, as far as they say something there: what a history is worth.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The places that were reached, as module and line. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<Mutex<BTreeSet<(&'static str, u32)>>>);

/// Of libraries, nobody wants to know.
const OURS: [&str; 6] = [
    "cluster",
    "csi",
    "daxfit_operator",
    "extender",
    "node_driver",
    "program",
];

impl Reached {
    /// All of them.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.iter().map(|(module, line)| format!("{module}:{line}")).collect()
    }
}

impl<S: Subscriber> Layer<S> for Reached {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let module = metadata.module_path().unwrap_or_default();
        let is_ours = OURS
            .iter()
            .any(|ours| module == *ours || module.starts_with(&format!("{ours}::")));
        if is_ours && *metadata.level() <= Level::DEBUG {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            places.insert((module, metadata.line().unwrap_or_default()));
        }
    }
}
