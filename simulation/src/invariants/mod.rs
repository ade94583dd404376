//! What has to hold: at each moment, and when everything has settled. One who adds an invariant touches the file of what it is
//! about, which has a table for each of the times below.

mod data;
mod extenders;
mod pods;
mod reports;
mod together;
mod volumes;

use node_driver::devices::Inventory;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api_server::Kind;
use crate::devices::Fuse;
use crate::surroundings::text;
use crate::world::{Node, World};

/// Something that has to hold. It returns what does not, in sentences.
pub type Invariant = fn(&World) -> Vec<String>;

/// An invariant, in words and as a function.
pub type Named = (&'static str, Invariant);

/// What has to hold at each moment.
pub const ALWAYS: [&[Named]; 3] = [data::ALWAYS, together::ALWAYS, extenders::ALWAYS];

/// What has to hold at each moment of a history in which nothing goes wrong but delays.
pub const IN_CALM: [&[Named]; 1] = [extenders::IN_CALM];

/// What has to hold when faults have ended and some time has passed.
pub const AT_THE_END: [&[Named]; 4] = [
    pods::AT_THE_END,
    volumes::AT_THE_END,
    reports::AT_THE_END,
    extenders::AT_THE_END,
];

/// What does not hold of `invariants`.
#[must_use]
pub fn violated(world: &World, invariants: &[&[Named]]) -> Vec<(&'static str, Vec<String>)> {
    let all = invariants.iter().flat_map(|about| about.iter());
    let found = all.map(|(name, holds)| (*name, holds(world)));
    found.filter(|(_, wrong)| !wrong.is_empty()).collect()
}

fn typed<K: DeserializeOwned>(world: &World, kind: Kind) -> Vec<K> {
    let all = world.api.list(kind);
    all.iter()
        .filter_map(|object| serde_json::from_value((**object).clone()).ok())
        .collect()
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// What the devices of a node show.
fn inventory(node: &Node) -> Inventory {
    node.machine.devices(&Fuse::new()).inventory().unwrap_or_default()
}
