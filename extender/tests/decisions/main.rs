//! The decisions of the extender, case by case. In any order, with all that is around them: the calm histories of the crate
//! `simulation`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails here is a failed test"
)]

mod available;
mod choice;
mod filter;
mod gangs;
mod joint;
mod ledger;
mod state;
#[path = "../../src/testing.rs"]
mod testing;
mod together;
mod waiting;
