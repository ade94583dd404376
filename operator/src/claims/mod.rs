//! Claims: which ones a pod has, and what one asks for.

mod of_pod;
mod want;

pub use of_pod::ClaimOfPod;
pub use want::{WantError, is_bound, name_of_volume, selected_node, want};
