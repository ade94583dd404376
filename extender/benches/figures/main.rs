//! How long a call takes: an extender with a full index, called over TLS on loopback as kube-scheduler does.
//!
//! Each call is followed by one to an echo, a server with the same TLS and HTTP that reads the same request and has the same
//! answer ready. What that takes, no extender can do without.
//!
//! Prints one line per figure, `figure NAME VALUE UNIT goal OP VALUE met|short`. Bounded in count and in time.
#![expect(
    clippy::cast_precision_loss,
    reason = "figures are shown with three digits; the numbers are far below 2^52"
)]

mod caller;
mod candidates;
mod cluster;
mod request;
mod servers;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use caller::Caller;
use request::Pods;
use servers::Servers;

/// Calls of each kind: enough for a p99, and no more than this long.
const CALLS: usize = 1000;
const AT_MOST: Duration = Duration::from_secs(20);
const WARM_UP: usize = 50;

fn main() -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("not optimised, so the times mean nothing: run `cargo bench -p daxfit-extender --bench figures`");
    }
    candidates::figures()?;
    let before = resident()?;
    let state = cluster::state()?;
    let memory = resident()?.saturating_sub(before);
    let servers = Servers::start(state)?;
    let no_claims = measure(&servers, "/filter", Pods::without_claims())?;
    at_most("extender_no_claims_p99", no_claims.at(99), 0.2);
    no_claims.shown("no_claims");
    for (name, path, pods) in [
        ("filter", "/filter", Pods::with_claims(1)),
        ("filter_two_claims", "/filter", Pods::with_claims(2)),
        (
            "filter_500_names",
            "/filter",
            Pods::with_claims(1).on_nodes_by_default(),
        ),
        ("prioritize", "/prioritize", Pods::with_claims(1)),
    ] {
        let times = measure(&servers, path, pods)?;
        at_most(&format!("extender_{name}_p99"), times.at(99), 1.0);
        times.shown(name);
        let ratio = times.at(50) / no_claims.at(50);
        println!("figure extender_{name}_per_no_claims {ratio:.2} ratio");
    }
    let mib = memory as f64 / f64::from(1 << 20);
    let met = if mib <= 100.0 { "met" } else { "short" };
    println!("figure extender_index_resident {mib:.1} MiB goal <= 100 {met}");
    servers.stop()
}

/// What calls took, and the same calls to the echo; ascending.
struct Times {
    calls: Vec<Duration>,
    echoes: Vec<Duration>,
}

impl Times {
    /// Milliseconds of a call.
    fn at(&self, percent: usize) -> f64 {
        milliseconds(&self.calls, percent)
    }

    fn shown(&self, name: &str) {
        println!("figure extender_{name}_p50 {:.3} ms", self.at(50));
        for percent in [50, 99] {
            let echo = milliseconds(&self.echoes, percent);
            println!("figure extender_{name}_echo_p{percent} {echo:.3} ms");
            println!(
                "figure extender_{name}_per_echo_p{percent} {:.2} ratio",
                self.at(percent) / echo
            );
        }
    }
}

fn milliseconds(ascending: &[Duration], percent: usize) -> f64 {
    ascending[(ascending.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

/// Sends one request after the other, as a scheduling loop does.
fn measure(servers: &Servers, path: &str, mut pods: Pods) -> anyhow::Result<Times> {
    let (mut extender, mut echo) = (servers.call_extender()?, servers.call_echo()?);
    let (mut calls, mut echoes) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    let deadline = Instant::now() + AT_MOST;
    for call in 0..WARM_UP + CALLS {
        let request = Caller::request(path, &pods.next_request()?);
        let start = Instant::now();
        let answer = extender.call(&request)?;
        let took = start.elapsed();
        servers.echo.prepare(answer);
        let start = Instant::now();
        let again = echo.call(&request)?;
        let without_us = start.elapsed();
        ensure!(again == answer, "the echo is another");
        if call >= WARM_UP {
            calls.push(took);
            echoes.push(without_us);
        }
        if Instant::now() > deadline && calls.len() >= 100 {
            break;
        }
    }
    eprintln!("{path}: {} calls", calls.len());
    calls.sort_unstable();
    echoes.sort_unstable();
    Ok(Times { calls, echoes })
}

fn at_most(name: &str, milliseconds: f64, goal: f64) {
    let met = if milliseconds <= goal { "met" } else { "short" };
    println!("figure {name} {milliseconds:.3} ms goal <= {goal} {met}");
}

/// Bytes of memory that this process has in RAM.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS in /proc/self/status")?;
    Ok(kib.parse::<u64>()? << 10)
}
