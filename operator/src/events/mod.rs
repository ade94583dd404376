//! Warning events for people: on pods that wait, on volumes without a node, on classes with a mistake.

pub mod class_mistakes;
pub mod orphaned_volumes;
pub mod waiting_pods;
