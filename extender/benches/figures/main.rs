//! How long a call takes: an extender with a full index, called over TLS on loopback as kube-scheduler does.
//!
//! Prints one line per figure, `figure NAME VALUE UNIT goal OP VALUE met|short`. Bounded in count and in time.
#![expect(
    clippy::cast_precision_loss,
    reason = "figures are shown with three digits; the numbers are far below 2^52"
)]

mod candidates;
mod cluster;
mod request;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use extender::client::ExtenderClient;
use extender::decide::Offering;
use extender::serve::Server;
use extender::tls::{TlsDirectory, client_config};
use extender::webhook::{PATIENCE, Webhook, router};
use http::{Method, StatusCode};
use placement::Policy;
use tokio_util::sync::CancellationToken;

use cluster::NoApiServer;
use request::Pods;

/// Calls of each kind: enough for a p99, and no more than this long.
const CALLS: usize = 1000;
const AT_MOST: Duration = Duration::from_secs(20);
const WARM_UP: usize = 50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        eprintln!("not optimised, so the times mean nothing: run `cargo bench -p daxfit-extender --bench figures`");
    }
    candidates::figures()?;
    let before = resident()?;
    let index = cluster::index()?;
    let memory = resident()?.saturating_sub(before);
    let directory = tempfile::tempdir()?;
    let directory = TlsDirectory::new(directory.path());
    let server = Server::bind(([127, 0, 0, 1], 0).into(), directory.clone()).await?;
    let client = ExtenderClient::new(server.address(), client_config(&directory)?);
    let app = router(Webhook {
        index: index.into(),
        lookup: NoApiServer,
        offering: Offering {
            policy: Policy::Pack,
            candidates: 1,
        },
        patience: PATIENCE,
    });
    let stop = CancellationToken::new();
    let running = tokio::spawn(server.run(app, stop.clone()));

    let without = measure(&client, "/filter", Pods::without_claims()).await?;
    let filter = measure(&client, "/filter", Pods::with_claims(1)).await?;
    let two_claims = measure(&client, "/filter", Pods::with_claims(2)).await?;
    let prioritize = measure(&client, "/prioritize", Pods::with_claims(1)).await?;
    at_most("extender_no_claims_p99", without.p99, 0.2);
    shown("extender_no_claims_p50", without.p50);
    for (name, times) in [
        ("filter", filter),
        ("filter_two_claims", two_claims),
        ("prioritize", prioritize),
    ] {
        at_most(&format!("extender_{name}_p99"), times.p99, 1.0);
        shown(&format!("extender_{name}_p50"), times.p50);
        println!(
            "figure extender_{name}_per_no_claims {:.2} ratio",
            times.p50 / without.p50
        );
    }
    let mib = memory as f64 / f64::from(1 << 20);
    let met = if mib <= 100.0 { "met" } else { "short" };
    println!("figure extender_index_resident {mib:.1} MiB goal <= 100 {met}");

    stop.cancel();
    running.await??;
    Ok(())
}

/// Milliseconds.
#[derive(Clone, Copy)]
struct Times {
    p50: f64,
    p99: f64,
}

/// Sends one request after the other, as a scheduling loop does.
async fn measure(client: &ExtenderClient, path: &str, mut pods: Pods) -> anyhow::Result<Times> {
    let mut times = Vec::with_capacity(CALLS);
    let deadline = Instant::now() + AT_MOST;
    for call in 0..WARM_UP + CALLS {
        let body = pods.next_request();
        let start = Instant::now();
        let (status, answer) = client.call(Method::POST, path, body).await?;
        let took = start.elapsed();
        ensure!(
            status == StatusCode::OK,
            "{path}: {status} {}",
            String::from_utf8_lossy(&answer)
        );
        if call >= WARM_UP {
            times.push(took);
        }
        if Instant::now() > deadline && times.len() >= 100 {
            break;
        }
    }
    eprintln!("{path}: {} calls, {} nodes each", times.len(), cluster::NODES);
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    Ok(Times {
        p50: at(50),
        p99: at(99),
    })
}

fn at_most(name: &str, milliseconds: f64, goal: f64) {
    let met = if milliseconds <= goal { "met" } else { "short" };
    println!("figure {name} {milliseconds:.3} ms goal <= {goal} {met}");
}

fn shown(name: &str, milliseconds: f64) {
    println!("figure {name} {milliseconds:.3} ms");
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
