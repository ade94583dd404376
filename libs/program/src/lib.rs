//! What every program of Daxfit does at its edges, in one way.
//!
//! - [`start_log`]: a log on stderr, for people or as JSON.
//! - [`stop_on_signal`]: one token that SIGTERM and SIGINT cancel, and an end even if something hangs.
//! - [`chain`]: an error with all its causes, for logs, conditions and gRPC messages.
//! - [`now`], [`spawn_blocking`]: the clock and the threads, which a simulation replaces ([`simulate`]).
//! - [`health`]: `/healthz` and `/readyz` over plain HTTP, and the place where metrics will be.

mod error;
pub mod health;
mod log;
mod shutdown;
mod surroundings;

pub use error::chain;
pub use log::{LogFormat, start_log};
pub use shutdown::{DRAIN_LIMIT, stop_on_signal};
pub use surroundings::{Surroundings, now, simulate, spawn_blocking};
