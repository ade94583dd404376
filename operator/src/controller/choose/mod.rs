//! On which node a volume goes, and on which NUMA node there.

mod companions;
mod node;
mod search;

pub use companions::CompanionClaims;
pub use node::{ChooseError, ChosenNode, choose, code_of};
pub use search::{CompanionError, companions};
