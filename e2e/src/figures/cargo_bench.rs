//! Benchmarks that are programs of one crate.

use anyhow::{Result, ensure};
use tokio::process::Command;

use super::figure::Figure;
use crate::harness::command;

/// Runs the benchmark `bench` of `package` and reads its figures.
pub(super) async fn measure(package: &str, bench: &str) -> Result<Vec<Figure>> {
    eprintln!("measuring {package} …");
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--quiet", "--package", package, "--bench", bench]);
    let printed = command::capture(cargo).await?;
    let lines: Vec<&str> = printed.lines().filter(|line| line.starts_with("figure ")).collect();
    ensure!(
        !lines.is_empty(),
        "the benchmark of {package} printed no figure:\n{printed}"
    );
    lines.into_iter().map(Figure::read).collect()
}
