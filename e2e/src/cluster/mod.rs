//! A real cluster on this machine: control plane, a native node, and nodes with emulated PMEM.

pub(crate) mod cell;
pub(crate) mod control_plane;
pub(crate) mod launch;
pub(crate) mod native_node;
pub(crate) mod node;
pub(crate) mod pki;
pub(crate) mod run_dir;
pub(crate) mod wait;
