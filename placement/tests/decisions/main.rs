//! Where claims go and whether they fit: against a plain model, against every order of creation, and case by case.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is a failed test")]

mod model;
mod nodes;
mod order;
mod prepared;
mod reservations;
