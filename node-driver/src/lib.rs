//! What runs on a node with persistent memory.
//!
//! - [`devices`]: regions, namespaces and their bytes, on real hardware or on files that look like it.

pub mod devices;
