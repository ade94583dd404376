//! The hardware tier: tests on a real kernel with emulated persistent memory, without Kubernetes.
//!
//! A test is an async function on a [`TestVm`]: a machine whose label areas are initialised and empty. The tests of a
//! [`Group`] share one machine, one after the other; one that fails or leaves a namespace behind costs a new machine. Two
//! groups run side by side.
//! To add a test, write a function beside others like it and name it in their group; a new group is listed in [`groups`].

mod bad_blocks;
mod cxl;
mod driver;
mod group;
mod host_rules;
mod in_use;
mod interruptions;
mod known_zero;
mod label_bytes;
mod labels;
mod left_disabled;
mod marks;
mod ndctl;
mod ndctl_odd;
mod remedies;
mod sequences;
mod smoke;
mod staging;
mod unarmed;
mod unrecorded;

use std::iter::Sum;

use anyhow::{Result, ensure};
use futures::{StreamExt, stream};

use crate::harness::programs::Program;
use crate::harness::test_vm::{Machines, TestVm};
use group::{Case, Group};

/// How many groups run side by side: a machine that is emulated keeps little more than one processor busy.
const AT_A_TIME: usize = 2;

/// In the order in which they start; the longest first, so that none works alone in the end.
fn groups() -> Vec<Group> {
    vec![
        interruptions::group(),
        known_zero::group(),
        smoke::group(),
        ndctl::group(),
        ndctl_odd::group(),
        sequences::group(),
        driver::group(),
        marks::group(),
        staging::group(),
        labels::group(),
        left_disabled::group(),
        unrecorded::group(),
        remedies::group(),
        unarmed::group(),
        cxl::group(),
        in_use::group(),
        host_rules::group(),
        bad_blocks::group(),
    ]
}

/// How many tests succeeded and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn record(&mut self, name: &str, outcome: &Result<()>) {
        match outcome {
            Ok(()) => {
                println!("test {name} ... ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("test {name} ... FAILED");
                eprintln!("{name}: {error:#}");
                self.failed += 1;
            }
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, next| Self {
            passed: sum.passed + next.passed,
            failed: sum.failed + next.failed,
        })
    }
}

/// Runs the tests whose full name contains `filter`, and prints a line for each and their number. It is an error if a test
/// fails or none has such a name.
pub(crate) async fn run(filter: &str) -> Result<()> {
    let chosen: Vec<Group> = groups().into_iter().filter_map(|group| group.only(filter)).collect();
    ensure!(!chosen.is_empty(), "no hardware test has {filter:?} in its name");
    let machines = Machines::with(&programs_of(&chosen)).await?;
    let groups = stream::iter(&chosen).map(|group| run_group(group, &machines));
    let tallies: Vec<Tally> = groups.buffer_unordered(AT_A_TIME).collect().await;
    let tally: Tally = tallies.into_iter().sum();
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "{} hardware tests failed", tally.failed);
    Ok(())
}

async fn run_group(group: &Group, machines: &Machines) -> Tally {
    let mut tally = Tally::default();
    let mut vm = None;
    for case in &group.cases {
        let outcome = run_case(group, case, machines, &mut vm).await;
        tally.record(&case.full_name(group.name), &outcome);
    }
    tally
}

/// The machine stays in `vm` for the next test only when this one succeeded and left nothing on it.
async fn run_case(group: &Group, case: &Case, machines: &Machines, vm: &mut Option<TestVm>) -> Result<()> {
    let mut taken = match vm.take() {
        Some(vm) => vm,
        None => machines.start((group.machine)()).await?,
    };
    if let Err(error) = run_on(case, &mut taken).await {
        eprintln!("  the console of the machine is in {}", taken.console().display());
        return Err(error);
    }
    *vm = Some(taken);
    Ok(())
}

async fn run_on(case: &Case, vm: &mut TestVm) -> Result<()> {
    (case.run)(vm).await?;
    vm.is_clean().await
}

fn programs_of(groups: &[Group]) -> Vec<Program> {
    let mut wanted: Vec<Program> = groups.iter().flat_map(|group| group.programs).copied().collect();
    wanted.sort_unstable_by_key(|program| program.name);
    wanted.dedup();
    wanted
}
