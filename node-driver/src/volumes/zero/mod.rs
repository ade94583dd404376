//! Making the bytes of namespaces zero, and what is known about them.
//!
//! - [`pass`]: one pass over every byte of a namespace, which erases (writes all) or scrubs (reads, and writes where needed).
//! - [`erasure`]: the pass that erases, on a thread of its own, with its progress.
//! - [`erasures`]: how far all of them have come, for the report.
//! - [`byte_state`]: which bytes this process knows to be zero.

pub(super) mod byte_state;
pub(super) mod erasure;
pub(super) mod erasures;
pub(super) mod pass;
