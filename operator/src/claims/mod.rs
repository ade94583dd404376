//! Claims: which ones a pod has, and what one asks for.

mod of_pod;
mod request;

pub use of_pod::ClaimOfPod;
pub use request::{WantError, is_bound, name_of_volume, request, selected_node};
