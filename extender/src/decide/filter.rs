//! Which nodes will do, and why the others will not.

use std::fmt;
use std::sync::Arc;

use placement::{Ask, Reason};
use serde::{Serialize, Serializer};

use super::{Needs, Pin, Views};
use crate::index::Index;

/// The candidates, sorted out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// The nodes that will do.
    pub passed: Vec<&'a str>,
    /// The nodes that may do later.
    pub failed: Vec<(&'a str, Why)>,
    /// The nodes that will not do whatever else goes away: there is no point in evicting pods there.
    pub unresolvable: Vec<(&'a str, Why)>,
}

/// Why a node will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The space is not there.
    Space(Reason),
    /// Something else.
    Told(Arc<str>),
}

impl Why {
    /// For the reason in `text`.
    pub fn told(text: impl Into<Arc<str>>) -> Self {
        Self::Told(text.into())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Space(reason) => reason.fmt(f),
            Self::Told(text) => f.write_str(text),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What becomes of one candidate.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will do.
    Passed,
    /// It may do later.
    Failed(Why),
    /// It will not do, whatever else goes away.
    Unresolvable(Why),
}

/// Sorts the candidates `names` by whether they have what a pod `needs`.
pub fn filter<'a>(index: &Index, needs: &mut Needs, names: impl IntoIterator<Item = &'a str>) -> Filtered<'a> {
    let mut filtered = Filtered::default();
    let views = Views::of(index, needs);
    for name in names {
        match verdict(&views, needs, name) {
            Verdict::Passed => filtered.passed.push(name),
            Verdict::Failed(why) => filtered.failed.push((name, why)),
            Verdict::Unresolvable(why) => filtered.unresolvable.push((name, why)),
        }
    }
    filtered
}

/// Whether the node `name` has what a pod `needs`.
pub fn verdict(views: &Views, needs: &mut Needs, name: &str) -> Verdict {
    match needs {
        Needs::Nothing => Verdict::Passed,
        Needs::Impossible(why) => Verdict::Unresolvable(Why::Told(why.clone())),
        Needs::Space { pins, ask, .. } => match elsewhere(pins, name) {
            Some(pin) => Verdict::Unresolvable(Why::Told(pin.why.clone())),
            None => verdict_on_space(views, name, ask),
        },
    }
}

/// The first pin to another node.
fn elsewhere<'p>(pins: &'p [Pin], name: &str) -> Option<&'p Pin> {
    pins.iter().find(|pin| *pin.node != *name)
}

fn verdict_on_space(views: &Views, name: &str, ask: &mut Ask) -> Verdict {
    if ask.wants().is_empty() {
        // All claims are here already: the node needs no space, and may not even be able to tell of any right now.
        return Verdict::Passed;
    }
    let (Some(space), Some(view)) = (views.index.node(name), views.of_node(name)) else {
        return Verdict::Unresolvable(Why::told("no persistent memory (no PmemNode)"));
    };
    match view.fits(ask) {
        Ok(()) => Verdict::Passed,
        Err(reason) if space.empty().fits_each(ask) => Verdict::Failed(Why::Space(reason)),
        Err(reason) => Verdict::Unresolvable(Why::Space(reason)),
    }
}
