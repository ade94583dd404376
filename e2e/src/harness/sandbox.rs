//! Kernel namespaces of one run: network, mounts and processes.
//!
//! One process is the init of a process namespace. It dies with the harness, and then the kernel kills every process in
//! there (kubelet, containerd, shims, containers), and the mounts, the bridge, the taps and the veth pair go with the last of
//! them. Nothing is named in the host's own namespaces but the veth's host end, so there is nothing to sweep after a crash.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::command::run;
use super::daemon::{bound_to_harness, only_child, spawn_bound};

/// The bridge that nodes and pods use as gateway; also the address of the API server and the native node.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The address of the Service `kubernetes`. It is a second address of the bridge, so that it works without kube-proxy.
pub(crate) const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// 198.18.0.0/15 is set aside for tests inside one machine (RFC 2544); each run takes a block of four of it.
const HOST_LINKS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const HOST_LINK_BLOCKS: u32 = 1 << 15;

const INIT: &str = "echo up; sleep infinity & wait";

/// Which namespaces of the sandbox a command runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The network only: the process keeps the host's files and can be killed by the pid it was started with.
    Network,
    /// The network and the mounts.
    Mounts,
    /// All of them. The command runs as a child of the started process.
    All,
}

/// The kernel namespaces of one run; all that runs in them is killed when dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// `unshare`, the parent of the init.
    outer: Child,
    init: i32,
    host_link: HostLink,
}

impl Sandbox {
    /// Makes the namespaces, the bridge and the link to the host.
    pub(crate) async fn create() -> Result<Self> {
        let (outer, init) = start_init()?;
        let sandbox = Self {
            outer,
            init,
            host_link: HostLink::of(init),
        };
        sandbox.set_up_mounts().await?;
        sandbox.set_up_bridge().await?;
        sandbox.link_to_host().await?;
        Ok(sandbox)
    }

    /// Where processes on the host, such as `kubectl` or a test, reach the API server.
    pub(crate) fn address_from_host(&self) -> Ipv4Addr {
        self.host_link.inner
    }

    /// The network namespace, as `nsenter --net=` and `setns(2)` take it.
    pub(crate) fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.init))
    }

    /// A command line that runs `program` inside and dies with the harness.
    pub(crate) fn command(&self, inside: Inside, program: impl AsRef<OsStr>) -> Command {
        let mut command = bound_to_harness("nsenter");
        command.args(["--target", &self.init.to_string(), "--net"]);
        match inside {
            Inside::Network => {}
            Inside::Mounts => {
                command.arg("--mount");
            }
            Inside::All => {
                command.args(["--mount", "--pid"]);
            }
        }
        command.arg("--").arg(program);
        command
    }

    /// Runs a short command inside and waits for it; its standard error is in the error.
    pub(crate) async fn run(&self, inside: Inside, line: &[&str]) -> Result<()> {
        let (program, arguments) = line.split_first().context("an empty command line")?;
        let mut command = self.command(inside, program);
        command.args(arguments);
        run(command.into()).await
    }

    /// Adds a tap device for a VM to the bridge.
    pub(crate) async fn add_tap(&self, name: &str) -> Result<()> {
        self.ip(&["tuntap", "add", name, "mode", "tap"]).await?;
        self.ip(&["link", "set", name, "master", "bridge", "up"]).await
    }

    /// Sends packets for a node's pods to that node.
    pub(crate) async fn add_pod_route(&self, pods: &str, node: Ipv4Addr) -> Result<()> {
        self.ip(&["route", "add", pods, "via", &node.to_string()]).await
    }

    /// Shows a folder of the run at a path where programs expect it.
    pub(crate) async fn bind(&self, source: &str, target: &str) -> Result<()> {
        self.run(Inside::Mounts, &["mkdir", "-p", target]).await?;
        self.run(Inside::Mounts, &["mount", "--bind", source, target]).await
    }

    async fn set_up_mounts(&self) -> Result<()> {
        // Shared inside the sandbox (volumes mounted by one pod are seen by others), with no way back to the host.
        self.run(Inside::Mounts, &["mount", "--make-rshared", "/"]).await?;
        self.run(Inside::Mounts, &["mount", "-t", "tmpfs", "run", "/run"]).await
    }

    async fn set_up_bridge(&self) -> Result<()> {
        self.ip(&["link", "set", "lo", "up"]).await?;
        self.ip(&["link", "add", "bridge", "type", "bridge"]).await?;
        self.ip(&["address", "add", &format!("{GATEWAY}/24"), "dev", "bridge"])
            .await?;
        self.ip(&["address", "add", &format!("{API_SERVICE}/32"), "dev", "bridge"])
            .await?;
        self.ip(&["link", "set", "bridge", "up"]).await?;
        self.run(Inside::Network, &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
            .await
    }

    async fn link_to_host(&self) -> Result<()> {
        let HostLink { name, host, inner } = &self.host_link;
        let init = self.init.to_string();
        on_host(&[
            "link", "add", name, "type", "veth", "peer", "name", "host", "netns", &init,
        ])
        .await?;
        on_host(&["address", "add", &format!("{host}/30"), "dev", name]).await?;
        on_host(&["link", "set", name, "up"]).await?;
        self.ip(&["address", "add", &format!("{inner}/30"), "dev", "host"])
            .await?;
        self.ip(&["link", "set", "host", "up"]).await
    }

    async fn ip(&self, arguments: &[&str]) -> Result<()> {
        self.run(Inside::Network, &[&["ip"], arguments].concat()).await
    }

    fn end(&mut self) -> Result<()> {
        let init = Pid::from_raw(self.init).context("the sandbox has no init")?;
        kill_process(init, Signal::KILL).context("killing the sandbox's init")?;
        // unshare waits for the init, which the kernel keeps until all others in the namespace are gone.
        self.outer.wait().context("waiting for the sandbox's init")?;
        Ok(())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error:#}");
        }
    }
}

/// The two ends of the veth pair between the host and a sandbox.
#[derive(Debug, PartialEq, Eq)]
struct HostLink {
    name: String,
    host: Ipv4Addr,
    inner: Ipv4Addr,
}

impl HostLink {
    /// Addresses and a name that differ for sandboxes alive at the same time, as their process ids do.
    fn of(init: i32) -> Self {
        let number = init.unsigned_abs() % HOST_LINK_BLOCKS;
        let block = u32::from(HOST_LINKS) + 4 * number;
        Self {
            name: format!("daxfit{number}"),
            host: Ipv4Addr::from(block + 1),
            inner: Ipv4Addr::from(block + 2),
        }
    }
}

fn start_init() -> Result<(Child, i32)> {
    let mut command = bound_to_harness("unshare");
    command
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--propagation=private",
            "--mount-proc",
        ])
        .args(["--", "sh", "-c", INIT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut outer = spawn_bound(command)?;
    let output = outer.stdout.take().context("the sandbox's init has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line != "up\n" {
        let printed = String::from_utf8_lossy(&outer.wait_with_output()?.stderr).into_owned();
        bail!(
            "making namespaces failed: {} (root and a kernel that allows unshare(2) are needed)",
            printed.trim()
        );
    }
    let init = only_child(outer.id())?.context("the sandbox's init has ended")?;
    Ok((outer, init))
}

async fn on_host(arguments: &[&str]) -> Result<()> {
    let mut command = tokio::process::Command::new("ip");
    command.args(arguments);
    run(command).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_links_stay_in_their_range_and_differ() {
        let (first, second) = (HostLink::of(1), HostLink::of(2));
        assert_eq!(first.inner, Ipv4Addr::new(198, 18, 0, 6));
        assert_ne!(first.host, second.host);
        assert_eq!(HostLink::of(32767).inner, Ipv4Addr::new(198, 19, 255, 254));
        assert!(HostLink::of(i32::MAX).name.len() < 16, "longer than IFNAMSIZ");
    }
}
