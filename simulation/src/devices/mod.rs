//! Persistent memory of one node, in memory.
