//! How much was done.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How much was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Steps that were begun.
    pub(super) operations: u64,
    /// SIGKILLs that took place.
    pub(super) sigkills: u64,
    /// Power cuts.
    pub(super) power_cuts: u64,
    /// Bytes that were compared with what they had to be.
    pub(super) bytes_checked: u64,
    /// Steps after which something was wrong.
    pub(super) errors: u64,
}

impl Counts {
    /// Each number with its name.
    pub(super) fn named(self) -> [(&'static str, u64); 5] {
        [
            ("operations", self.operations),
            ("SIGKILLs", self.sigkills),
            ("power cuts", self.power_cuts),
            ("bytes checked", self.bytes_checked),
            ("errors", self.errors),
        ]
    }

    /// What came on top of an earlier state.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            operations: self.operations - earlier.operations,
            sigkills: self.sigkills - earlier.sigkills,
            power_cuts: self.power_cuts - earlier.power_cuts,
            bytes_checked: self.bytes_checked - earlier.bytes_checked,
            errors: self.errors - earlier.errors,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.operations += more.operations;
        self.sigkills += more.sigkills;
        self.power_cuts += more.power_cuts;
        self.bytes_checked += more.bytes_checked;
        self.errors += more.errors;
    }
}
