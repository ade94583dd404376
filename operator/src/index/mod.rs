//! What the operator knows of the cluster: fed by one watch for each kind, asked without waiting.
//!
//! [`Index`] has the queries, `feed` takes in what the watches show, `lookup` answers for the requirements of pods.

mod capacities;
mod feed;
mod held;
mod lookup;
mod nodes;
mod persistent_volumes;
mod shared;
mod state;
mod store;
mod volumes;

pub use held::Held;
pub use nodes::OnDevice;
pub use persistent_volumes::NamedVolume;
pub use shared::{Reservation, SharedIndex};
pub use state::Index;
