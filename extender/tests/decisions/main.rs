//! The decisions of the extender, case by case and at random.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

mod filter;
mod joint;
mod ledger;
mod model;
mod state;
#[path = "../../src/testing.rs"]
mod testing;
mod together;
