//! Formatting, lints, dependencies and the tests that need no machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::harness::cache::{Key, cached};
use crate::harness::command::{run, run_in_view};
use crate::harness::progress::step;

/// Pinned: a newer one can have new lints and fail a commit that passed before.
const CARGO_DENY: &str = "0.20.2";

/// Runs all of these checks, even when one fails.
pub(super) async fn all() -> Result<()> {
    let outcomes = [
        ("formatting", step("formatting", format()).await),
        ("lints", step("lints", lints()).await),
        ("dependencies", step("dependencies", dependencies()).await),
        ("unit tests", step("unit tests", tests()).await),
        ("tests as root", step("tests as root", tests_as_root()).await),
    ];
    let failed: Vec<&str> = outcomes
        .iter()
        .filter_map(|(name, outcome)| outcome.is_err().then_some(*name))
        .collect();
    for (name, outcome) in &outcomes {
        if let Err(error) = outcome {
            eprintln!("{name}: {error:#}");
        }
    }
    ensure!(failed.is_empty(), "{} failed", failed.join(", "));
    Ok(())
}

async fn format() -> Result<()> {
    run(cargo(&["fmt", "--all", "--check"]))
        .await
        .context("`cargo fmt --all` corrects this")
}

async fn lints() -> Result<()> {
    let line = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    run_in_view(cargo(&line)).await
}

/// Unchanged on standard output, so that its closing lines can be read there.
async fn tests() -> Result<()> {
    run_in_view(cargo(&["test", "--quiet", "--workspace", "--locked", "--no-fail-fast"])).await
}

/// Those on loop devices, which a plain `cargo test` leaves out.
async fn tests_as_root() -> Result<()> {
    let line = [
        "test",
        "--quiet",
        "--workspace",
        "--lib",
        "--locked",
        "--no-fail-fast",
        "--",
        "--ignored",
    ];
    run_in_view(cargo(&line)).await
}

/// Licences, duplicates and sources are checked offline; advisories need a database from the network.
async fn dependencies() -> Result<()> {
    let deny = cargo_deny().await?;
    run(deny_command(&deny, &["check", "bans", "licenses", "sources"])).await?;
    if let Err(error) = run(deny_command(&deny, &["fetch", "db"])).await {
        eprintln!("  ADVISORIES NOT CHECKED, their database cannot be fetched: {error:#}");
        return Ok(());
    }
    run(deny_command(&deny, &["check", "--disable-fetch", "advisories"])).await
}

/// The program itself, built now unless cached: some minutes the first time.
async fn cargo_deny() -> Result<PathBuf> {
    let key = Key::new().with(CARGO_DENY);
    let build = async |folder: &Path| step("building cargo-deny", install_deny(folder)).await;
    Ok(cached("cargo-deny", &key, build).await?.join("bin/cargo-deny"))
}

async fn install_deny(folder: &Path) -> Result<()> {
    let mut command = cargo(&[
        "install",
        "--quiet",
        "--locked",
        "--version",
        CARGO_DENY,
        "cargo-deny",
        "--root",
    ]);
    command.arg(folder);
    run(command).await
}

fn deny_command(deny: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(deny);
    command
        .current_dir(workspace())
        .args(["--log-level", "error"])
        .args(arguments);
    command
}

/// The folder with the workspace's Cargo.toml.
fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace()).args(arguments);
    command
}
