//! What every tier, the demo and the benchmarks stand on. A file may import from those further down, never from those above it:
//!
//! | what | where |
//! | --- | --- |
//! | clusters, as the tests use them | [`test_cluster`] (real nodes), [`hollow`] (nodes without machines) |
//! | what a person sees and does in one | [`capacity`], [`namespaces`], [`workload`], [`kubectl`] |
//! | a cluster with two nodes | [`cluster`] |
//! | what our programs see of its API server | [`api_proxy`] |
//! | what runs on a node | [`images`], [`containerd`] |
//! | a machine without Kubernetes, and what our programs see and do on it | [`test_vm`] |
//! | virtual machines | [`vm`], and what they boot from: [`guest`] |
//! | one run | [`sandbox`], [`listen`], [`run_dir`], [`logs`], [`client`], [`daemon`] |
//! | programs | [`tools`] (of others), [`programs`] (ours), [`go`], [`packages`], [`cache`], [`room`] |
//! | the smallest parts | [`command`], [`progress`], [`wait`] |

pub(crate) mod api_proxy;
pub(crate) mod cache;
pub(crate) mod capacity;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod command;
pub(crate) mod containerd;
pub(crate) mod daemon;
pub(crate) mod go;
pub(crate) mod guest;
pub(crate) mod hollow;
pub(crate) mod images;
pub(crate) mod kubectl;
pub(crate) mod listen;
pub(crate) mod logs;
pub(crate) mod namespaces;
pub(crate) mod packages;
pub(crate) mod programs;
pub(crate) mod progress;
pub(crate) mod room;
pub(crate) mod run_dir;
pub(crate) mod sandbox;
pub(crate) mod test_cluster;
pub(crate) mod test_vm;
pub(crate) mod tools;
pub(crate) mod vm;
pub(crate) mod wait;
pub(crate) mod workload;
