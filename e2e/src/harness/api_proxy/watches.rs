//! What becomes of the events of watches, by kind.

use std::collections::BTreeMap;

use tokio::sync::watch;

/// What becomes of an event that comes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    Passes,
    /// It waits.
    Held,
    /// It is never delivered, as are those that wait.
    Dropped,
}

/// In which order events that waited are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    AsTheyCame,
    /// The object that changed last comes first; those of one object stay in order.
    LastObjectFirst,
}

/// How a stream is ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// The connection breaks off: the program watches from where it was.
    #[default]
    Broken,
    /// "410 Gone", as after etcd was compacted: the program has to list again.
    Expired,
}

/// What becomes of the events of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    pub(super) flow: Flow,
    pub(super) order: Order,
    /// Streams that began when it was less end.
    pub(super) endings: u64,
    pub(super) ending: Ending,
}

#[derive(Debug, Default)]
pub(super) struct Controls {
    kinds: BTreeMap<String, Control>,
    /// All kinds are held, whatever else is said of them.
    holds_all: bool,
}

impl Controls {
    pub(super) fn of(&self, kind: &str) -> Control {
        let control = self.kinds.get(kind).copied().unwrap_or_default();
        if self.holds_all {
            let flow = Flow::Held;
            return Control { flow, ..control };
        }
        control
    }
}

/// The watches of one program.
#[derive(Debug, Default)]
pub(super) struct Watches(watch::Sender<Controls>);

impl Watches {
    pub(super) fn subscribe(&self) -> watch::Receiver<Controls> {
        self.0.subscribe()
    }

    pub(super) fn set(&self, kind: &str, change: impl FnOnce(&mut Control)) {
        self.0
            .send_modify(|controls| change(controls.kinds.entry(kind.to_owned()).or_default()));
    }

    pub(super) fn hold_all(&self, holds: bool) {
        self.0.send_modify(|controls| controls.holds_all = holds);
    }

    /// Everything passes again. Streams that begin later are not ended by what was said before.
    pub(super) fn reset(&self) {
        self.0.send_modify(|controls| {
            controls.holds_all = false;
            for control in controls.kinds.values_mut() {
                control.flow = Flow::Passes;
                control.order = Order::AsTheyCame;
            }
        });
    }
}
