//! On which node a volume goes, and on which NUMA node there.

mod companions;
mod node;
mod search;

pub use node::{ChooseError, ChosenNode, choose};
pub use search::{CompanionError, companions};
