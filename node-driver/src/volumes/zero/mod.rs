//! Making the bytes of namespaces zero, and what is known about them.
//!
//! - [`pass`]: one pass over every byte of a namespace, which erases (writes all) or scrubs (reads, and writes where needed).
//! - [`chunks`]: which bytes are worked on by whom; [`progress`]: how far it has come, and how fast it may go.
//! - [`erasure`]: the pass that erases, on a thread of its own, with its progress.
//! - [`erasures`]: how far all of them have come, for the report.
//! - [`rates`]: how fast they may go.
//! - [`byte_state`]: which bytes this process knows to be zero.

pub(super) mod byte_state;
mod chunks;
pub(super) mod erasure;
pub(super) mod erasures;
pub(super) mod pass;
pub(super) mod progress;
pub(super) mod rates;
