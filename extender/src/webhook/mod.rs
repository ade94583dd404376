//! The calls of kube-scheduler.
pub mod wire;
