//! The CSI services over a pipe in memory, against an API server in memory.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod choose;
mod create;
mod delete;
mod read;
mod request;
mod setup;
mod together;
mod unclaimed;
