//! Runs our program in the machine, to its end or not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::ending::{Ending, Fault, When};
use crate::harness::test_vm::{Effect, TestVm, VOLUME, effects};
use crate::harness::vm::Output;

/// How a run of the program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It did what it was asked for.
    Done(Done),
    /// SIGKILL ended it.
    Killed,
    /// It is at the point where the power has to be cut.
    Stopped,
    /// It says that it cannot, and why.
    Failed(String),
}

/// What the program did.
#[derive(Debug)]
pub(super) struct Done {
    /// What it printed on standard output.
    pub(super) printed: String,
    /// Its effects.
    pub(super) effects: Vec<Effect>,
    /// How long it took.
    pub(super) time: Duration,
}

const KILLED: i32 = 128 + 9;
/// Exit status of a script when the power is to be cut.
const STOPPED: i32 = 200;

/// Runs our program with these arguments, and ends it as `ending` says. It may be done before.
pub(super) async fn run(vm: &TestVm, arguments: &str, ending: Option<&Ending>) -> Result<Ended> {
    run_any(vm, &format!("{VOLUME} {arguments}"), ending).await
}

/// The same with any program, which knows no effects.
pub(super) async fn run_any(vm: &TestVm, run: &str, ending: Option<&Ending>) -> Result<Ended> {
    let begun = Instant::now();
    let Output { status, stdout, stderr } = vm.run(&script(run, ending)).await?;
    match (status, ending.map(|ending| ending.fault)) {
        (0, _) => Ok(Ended::Done(Done {
            effects: effects(&stderr)?,
            printed: stdout,
            time: begun.elapsed(),
        })),
        (KILLED, Some(Fault::Kill)) => Ok(Ended::Killed),
        (STOPPED, Some(Fault::PowerCut)) => Ok(Ended::Stopped),
        (KILLED | STOPPED, _) => bail!("{run} ended with {status}, which nobody asked for: {stdout}{stderr}"),
        _ => Ok(Ended::Failed(format!(
            "exit status {status} of {run}: {stdout}{stderr}"
        ))),
    }
}

fn script(run: &str, ending: Option<&Ending>) -> String {
    let Some(Ending { fault, point, when }) = ending else {
        return run.to_owned();
    };
    let effect = &point.effect;
    match (fault, when) {
        (Fault::Kill, When::After(number)) => format!("{run} --kill-after {effect}:{number}"),
        (Fault::Kill, When::Within(time)) => kill(run, time.as_secs_f64()),
        (Fault::PowerCut, When::After(number)) => stop(&format!("{run} --stop-after {effect}:{number}")),
        (Fault::PowerCut, When::Within(time)) => {
            format!("{run} >/tmp/out 2>&1 & sleep {}; exit {STOPPED}", time.as_secs_f64())
        }
    }
}

/// SIGKILL goes to the whole process group: what the program has started ends with its container. Some may be at work in the
/// kernel for a while.
fn kill(run: &str, seconds: f64) -> String {
    format!(
        "timeout --signal KILL {seconds} {run} & group=$!
        wait $group; status=$?
        while pgrep --pgroup $group >/dev/null; do sleep 0.1; done
        exit $status"
    )
}

/// Waits until the program has stopped, or is done before.
fn stop(run: &str) -> String {
    format!(
        "{run} >/tmp/out 2>/tmp/err & program=$!
        until grep -q ^stopped /tmp/err; do kill -0 $program 2>/dev/null || break; sleep 0.1; done
        cat /tmp/out; cat /tmp/err >&2
        grep -q ^stopped /tmp/err && exit {STOPPED}
        wait $program"
    )
}
