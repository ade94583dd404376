//! The Debian packages that the harness uses, installed when missing.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::harness::command::{capture, run};
use crate::harness::progress::step;

/// To compile this workspace and its lints' build scripts: libndctl is what `libs/ndctl` links.
const BUILD: [&str; 3] = ["libndctl-dev", "pkg-config", "gcc"];
/// To build the guest and run it.
const GUEST: [&str; 6] = [
    "qemu-system-x86",
    "mmdebstrap",
    "e2fsprogs",
    "util-linux",
    "busybox-static",
    "xz-utils",
];
/// To run a native node beside it, and to make images.
const CLUSTER: [&str; 9] = [
    "buildah",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "curl",
    "iproute2",
    "xfsprogs",
    "ca-certificates",
];

/// Installs the packages of the harness that are missing. That needs Debian and root; without them, the error lists what to
/// install.
pub(crate) async fn ensure_all() -> Result<()> {
    let wanted = [&BUILD[..], &GUEST[..], &CLUSTER[..]].concat();
    ensure(&wanted).await
}

/// Installs those of these packages that are missing, as [`ensure_all`] does.
pub(crate) async fn ensure(wanted: &[&str]) -> Result<()> {
    let missing = missing(wanted, &installed().await?);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root()? {
        bail!("Debian packages are missing. As root: apt-get install --no-install-recommends {list}");
    }
    step(&format!("installing {list}"), install(&missing)).await
}

/// Whether this process is root: namespaces, device nodes and packages need it.
pub(crate) fn is_root() -> Result<bool> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    Ok(effective_uid(&status) == Some("0"))
}

/// `Uid:` is followed by the real, effective, saved and file system ids (`proc(5)`).
fn effective_uid(status: &str) -> Option<&str> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)
}

fn missing<'a>(wanted: &[&'a str], installed: &BTreeSet<String>) -> Vec<&'a str> {
    wanted
        .iter()
        .copied()
        .filter(|name| !installed.contains(*name))
        .collect()
}

async fn installed() -> Result<BTreeSet<String>> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"]);
    let listed = capture(query)
        .await
        .context("the harness runs on Debian (dpkg-query did not answer)")?;
    Ok(parse_installed(&listed))
}

fn parse_installed(listed: &str) -> BTreeSet<String> {
    listed
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .map(str::to_owned)
        .collect()
}

async fn install(packages: &[&str]) -> Result<()> {
    // A third party's list that cannot be fetched is no reason to stop: what counts is whether the packages install.
    if let Err(error) = run(apt_get(&["update"])).await {
        tracing::warn!("{error:#}");
    }
    run(apt_get(
        &[&["install", "--yes", "--no-install-recommends"], packages].concat(),
    ))
    .await
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-o", "DPkg::Lock::Timeout=600"])
        .args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let installed = parse_installed("installed runc\nconfig-files buildah\ninstalled e2fsprogs\n");
        assert_eq!(missing(&["runc", "buildah", "ndctl"], &installed), ["buildah", "ndctl"]);
    }

    #[test]
    fn the_effective_uid_is_the_second() {
        assert_eq!(effective_uid("Name:\tx\nUid:\t1000\t0\t1000\t1000\n"), Some("0"));
        assert_eq!(effective_uid("Name:\tx\n"), None);
    }
}
