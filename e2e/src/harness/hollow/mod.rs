//! A real control plane with nodes that are only objects and driver code, all in one process: what it takes to measure
//! hundreds of nodes on one machine.
//!
//! etcd, API server, controller manager, scheduler and external-provisioner are the real ones; operator, extender and the
//! drivers of the nodes are ours. Each has the account that the manifests give it, except the drivers, which share one
//! connection. There is no kubelet, so pods get a node and never run.

mod config;
mod hollow_cluster;
mod manifests;
mod metrics;
mod node_control;
mod observe;
mod part;
pub(crate) mod pods;
mod start;

pub(crate) use config::Limits;
pub(crate) use hollow_cluster::HollowCluster;
pub(crate) use metrics::Samples;
pub(crate) use node_control::NodeControl;
pub(crate) use observe::ResidentMemory;
pub(crate) use part::{Nodes, Part, SECOND_SCHEDULER};
