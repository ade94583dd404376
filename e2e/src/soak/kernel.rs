//! A run on a real kernel.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use placement::{Bytes, Extent};

use super::Options;
use super::counts::Counts;
use super::device_bytes;
use super::finding::Finding;
use super::log::Log;
use super::matrix::Outcome;
use super::operation::Operation;
use super::session::Session;
use super::totals::{self, Totals};
use crate::harness::packages;
use crate::harness::programs::{NODE_DRIVER, STANDALONE_VOLUME};
use crate::harness::progress::human;
use crate::harness::test_vm::Machines;
use crate::harness::vm::Machine;

/// How often the terminal shows how far it is, and the totals are saved.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// A seed that is easy to type.
const SEEDS: u64 = 1_000_000;

/// Soaks one machine, and prints what came of it.
pub(super) async fn run(options: &Options) -> Result<()> {
    packages::ensure_all().await?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..SEEDS));
    println!("seed {seed}");
    let machines = Machines::with(&[NODE_DRIVER, STANDALONE_VOLUME]).await?;
    let vm = machines.start(Machine::light("soak")).await?;
    let mut session = Session::new(vm, seed, Log::begin(seed)?);
    let mut report = Report::begin(Duration::from_secs(60 * options.minutes))?;
    let outcome = soak(&mut session, &mut report).await;
    report.end(&mut session, outcome)
}

async fn soak(session: &mut Session, report: &mut Report) -> Result<()> {
    session.make_all_dirty().await?;
    while report.begun.elapsed() < report.limit {
        session.step().await?;
        report.progress(session)?;
    }
    session.wind_up().await
}

impl Session {
    /// Earlier tenants have left something everywhere.
    async fn make_all_dirty(&mut self) -> Result<()> {
        let seen = self.look(None).await?;
        for region in &seen.regions {
            let numa = region.numa_node.context("a region without NUMA node")?;
            device_bytes::make_dirty(&self.module(numa.0)?, Extent::new(Bytes::ZERO, region.size))?;
        }
        Ok(())
    }

    /// Compares and erases all that is there, after which everything has to be free.
    async fn wind_up(&mut self) -> Result<()> {
        self.log.line("     the time is over")?;
        let volumes: Vec<String> = self.world.volumes.keys().cloned().collect();
        for name in volumes {
            self.carry_out(Operation::Stage(name.clone())).await?;
            self.carry_out(Operation::Erase(name)).await?;
        }
        let foreign: Vec<String> = self.world.foreign.keys().cloned().collect();
        for name in foreign {
            self.carry_out(Operation::DestroyForeign(name)).await?;
        }
        self.look(None).await.map(drop)
    }

    /// Takes note of what an error means for the interruptions before it.
    fn failed(&mut self, error: &anyhow::Error) -> Result<()> {
        self.counts.errors += 1;
        if let Some(finding) = error.downcast_ref::<Finding>() {
            for ending in self.pending.drain(..) {
                self.matrix.count(&ending, Outcome::Harm(finding.harm));
            }
        }
        self.log.line(&format!("     WRONG: {error:#}"))
    }
}

/// What a person sees of a run.
#[derive(Debug)]
struct Report {
    begun: Instant,
    limit: Duration,
    reported: Instant,
    saved: Counts,
}

impl Report {
    fn begin(limit: Duration) -> Result<Self> {
        let counts = Counts::default();
        totals::add(Totals { runs: 1, counts })?;
        let begun = Instant::now();
        Ok(Self {
            begun,
            limit,
            reported: begun,
            saved: counts,
        })
    }

    fn save(&mut self, counts: Counts) -> Result<Totals> {
        let more = counts.since(self.saved);
        self.saved = counts;
        totals::add(Totals { runs: 0, counts: more })
    }

    fn progress(&mut self, session: &Session) -> Result<()> {
        if self.reported.elapsed() < REPORT_EVERY {
            return Ok(());
        }
        self.reported = Instant::now();
        self.save(session.counts)?;
        let counts = session.counts.named().map(|(name, count)| format!("{name} {count}"));
        eprintln!("  {}: {}", human(self.begun.elapsed()), counts.join(", "));
        Ok(())
    }

    /// Prints matrix and counts, and fails if something was wrong.
    fn end(&mut self, session: &mut Session, outcome: Result<()>) -> Result<()> {
        if let Err(error) = &outcome {
            session.failed(error)?;
        }
        println!("{}", session.matrix);
        let totals = self.save(session.counts)?;
        println!(
            "{:<14} {:>16} {:>16}",
            "",
            "in this run",
            format!("in {} runs", totals.runs)
        );
        for ((name, this), (_, all)) in session.counts.named().into_iter().zip(totals.counts.named()) {
            println!("{name:<14} {this:>16} {all:>16}");
        }
        eprintln!("  the log is {}", session.log.path().display());
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                let (operation, console) = (session.counts.operations, session.vm.console().display());
                bail!(
                    "seed {}, operation {operation}: {error:#}\nthe console of the machine is in {console}",
                    session.seed
                )
            }
        }
    }
}
