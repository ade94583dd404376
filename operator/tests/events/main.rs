//! Events that the operator records.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod waiting_pods;
