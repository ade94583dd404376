//! The hardware tier: tests on a real kernel with emulated persistent memory, without Kubernetes.
//!
//! A test is an async function on a [`Bench`]: a machine whose label areas are initialised and empty. The tests of a
//! [`Group`] share one machine, one after the other; one that fails or leaves a namespace behind costs a fresh machine.
//! To add tests, write a module like [`smoke`] and list its group in [`groups`].

mod bench;
mod driver;
mod ndctl;
mod ndctl_odd;
mod sequences;
mod smoke;

use std::pin::Pin;

use anyhow::{Result, ensure};
use placement::Bytes;

use crate::cluster::run_dir::RunDir;
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
    vec![
        smoke::group(),
        ndctl::group(),
        ndctl_odd::group(),
        sequences::group(),
        driver::group(),
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

/// Runs the tests whose full name contains `filter`, and prints a line for each and their number.
///
/// # Errors
/// A test failed, none has such a name, or there is no guest to run them in.
pub(crate) async fn run(filter: &str) -> Result<()> {
    let chosen: Vec<Group> = groups().into_iter().filter_map(|group| group.only(filter)).collect();
    ensure!(!chosen.is_empty(), "no hardware test has {filter:?} in its name");
    let mut lab = Lab::of(&chosen).await?;
    let mut tally = Tally::default();
    for group in &chosen {
        group.run(&mut lab, &mut tally).await;
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

    async fn run(&self, lab: &mut Lab, tally: &mut Tally) {
        let mut bench = None;
        for case in &self.cases {
            let outcome = self.run_case(lab, case, &mut bench).await;
            tally.record(&full_name(self.name, case), &outcome);
        }
    }

    /// The machine is there for the next test only when this one succeeded and left nothing on it.
    async fn run_case(&self, lab: &mut Lab, case: &Case, bench: &mut Option<Bench>) -> Result<()> {
        let mut taken = match bench.take() {
            Some(bench) => bench,
            None => lab.bench((self.machine)()).await?,
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

/// What all benches of a run share.
#[derive(Debug)]
struct Lab {
    guest: Guest,
    run: RunDir,
    /// The programs of all chosen groups.
    files: Disk,
    benches: usize,
}

impl Lab {
    async fn of(groups: &[Group]) -> Result<Self> {
        let guest = Guest::ready().await?;
        let run = RunDir::create(&crate::cache::folder()?.join("runs"))?;
        let image = run.path().join("files.img");
        let content = run.folder("files")?;
        programs::build_into(&content, &wanted_by(groups)).await?;
        pack(&content, &image, Bytes::ZERO).await?;
        let files = Disk {
            name: "files".to_owned(),
            image,
            scratch: false,
        };
        Ok(Self {
            guest,
            run,
            files,
            benches: 0,
        })
    }

    /// A bench with new DIMMs.
    async fn bench(&mut self, mut machine: Machine) -> Result<Bench> {
        self.benches += 1;
        machine.disks.push(self.files.clone());
        // A short path: it becomes that of a socket, which has at most 107 bytes.
        let folder = self.run.folder(&format!("bench{}", self.benches))?;
        Bench::fresh(&self.guest, machine, folder).await
    }
}

fn wanted_by(groups: &[Group]) -> Vec<Program> {
    let mut wanted: Vec<Program> = groups.iter().flat_map(|group| group.programs).copied().collect();
    wanted.sort_unstable_by_key(|program| program.name);
    wanted.dedup();
    wanted
}
