//! Tests, and the groups that share a machine.

use std::pin::Pin;

use anyhow::Result;

use crate::harness::programs::Program;
use crate::harness::test_vm::TestVm;
use crate::harness::vm::Machine;

/// Tests that share a machine.
#[derive(Debug)]
pub(super) struct Group {
    /// Comes before the names of its tests.
    pub(super) name: &'static str,
    /// What they run on.
    pub(super) machine: fn() -> Machine,
    /// What they find in `/mnt/files`.
    pub(super) programs: &'static [Program],
    /// The tests, in the order in which they run.
    pub(super) cases: Vec<Case>,
}

/// A test under way.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One test.
#[derive(Debug)]
pub(super) struct Case {
    /// Says what holds when the test succeeds.
    pub(super) name: &'static str,
    pub(super) run: for<'a> fn(&'a mut TestVm) -> Running<'a>,
}

/// Makes a [`Case`] of an async function, under its own name.
macro_rules! case {
    ($function:ident) => {
        $crate::hardware::group::Case {
            name: stringify!($function),
            run: |vm| Box::pin($function(vm)),
        }
    };
}
pub(super) use case;

impl Group {
    /// The group with those of its tests whose full name contains `filter`, if any.
    pub(super) fn only(mut self, filter: &str) -> Option<Self> {
        let name = self.name;
        self.cases.retain(|case| case.full_name(name).contains(filter));
        (!self.cases.is_empty()).then_some(self)
    }
}

impl Case {
    /// The name by which a person selects it.
    pub(super) fn full_name(&self, group: &str) -> String {
        format!("{group}::{}", self.name)
    }
}
