//! The hardware tier: tests on a real kernel with emulated persistent memory, without Kubernetes.
//!
//! A test is an async function on a [`Bench`]: a machine whose label areas are initialised and empty. The tests of a
//! [`Group`] share one machine, one after the other; one that fails or leaves a namespace behind costs a fresh machine.
//! To add tests, write a module like [`smoke`] and list its group in [`groups`].

mod bench;
mod smoke;

use std::pin::Pin;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::guest::{Guest, pack};
use crate::programs::{self, Program};
use crate::vm::{Disk, Machine};

pub(crate) use bench::Bench;

/// Tests that share a machine.
#[derive(Debug)]
pub(crate) struct Group {
    /// Comes before the names of its tests.
    pub(crate) name: &'static str,
    /// What they run on.
    pub(crate) machine: fn() -> Machine,
    /// What they find in `/mnt/files`.
    pub(crate) programs: &'static [Program],
    /// The tests, in the order in which they run.
    pub(crate) cases: Vec<Case>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

/// One test.
#[derive(Debug)]
pub(crate) struct Case {
    /// Says what holds when the test succeeds.
    pub(crate) name: &'static str,
    /// The test.
    pub(crate) run: for<'a> fn(&'a mut Bench) -> Running<'a>,
}

/// Makes a [`Case`] of an async function, under its own name.
macro_rules! case {
    ($function:ident) => {
        crate::hardware::Case {
            name: stringify!($function),
            run: |bench| Box::pin($function(bench)),
        }
    };
}
use case;

/// All groups of tests.
fn groups() -> Vec<Group> {
    vec![smoke::group()]
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

/// Runs the tests whose full name contains `filter`, and prints a line for each and their number.
///
/// # Errors
/// A test failed, none has such a name, or there is no guest to run them in.
pub(crate) async fn run(filter: &str) -> Result<()> {
    let chosen: Vec<Group> = groups().into_iter().filter_map(|group| group.only(filter)).collect();
    ensure!(!chosen.is_empty(), "no hardware test has {filter:?} in its name");
    let guest = Guest::ready().await?;
    let files = Files::of(&chosen).await?;
    let mut tally = Tally::default();
    for group in &chosen {
        group.run(&guest, &files, &mut tally).await;
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "{} hardware tests failed", tally.failed);
    Ok(())
}

impl Group {
    /// The group with those of its tests whose full name contains `filter`, if any.
    fn only(mut self, filter: &str) -> Option<Self> {
        let name = self.name;
        self.cases.retain(|case| full_name(name, case).contains(filter));
        (!self.cases.is_empty()).then_some(self)
    }

    async fn run(&self, guest: &Guest, files: &Files, tally: &mut Tally) {
        let mut bench = None;
        for case in &self.cases {
            let outcome = self.run_case(guest, files, case, &mut bench).await;
            tally.record(&full_name(self.name, case), &outcome);
        }
    }

    /// The machine is there for the next test only when this one succeeded and left nothing on it.
    async fn run_case(&self, guest: &Guest, files: &Files, case: &Case, bench: &mut Option<Bench>) -> Result<()> {
        let mut taken = match bench.take() {
            Some(bench) => bench,
            None => Bench::fresh(guest, files.given_to((self.machine)())).await?,
        };
        (case.run)(&mut taken).await?;
        taken.is_clean().await?;
        *bench = Some(taken);
        Ok(())
    }
}

fn full_name(group: &str, case: &Case) -> String {
    format!("{group}::{}", case.name)
}

/// The disk with the programs of all chosen groups.
#[derive(Debug)]
struct Files {
    folder: TempDir,
}

impl Files {
    async fn of(groups: &[Group]) -> Result<Self> {
        let mut wanted: Vec<Program> = groups.iter().flat_map(|group| group.programs).copied().collect();
        wanted.sort_unstable_by_key(|program| program.name);
        wanted.dedup();
        let folder = tempfile::Builder::new()
            .prefix("daxfit-")
            .tempdir()
            .context("making a folder for files")?;
        let content = folder.path().join("content");
        std::fs::create_dir(&content).context("making a folder for programs")?;
        programs::build_into(&content, &wanted).await?;
        let files = Self { folder };
        pack(&content, &files.image()).await?;
        Ok(files)
    }

    fn image(&self) -> std::path::PathBuf {
        self.folder.path().join("files.img")
    }

    fn given_to(&self, mut machine: Machine) -> Machine {
        machine.disks.push(Disk {
            name: "files".to_owned(),
            image: self.image(),
        });
        machine
    }
}
