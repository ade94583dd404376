//! containerd in a sandbox on this machine.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use tokio::process::Command;

use super::command::run;
use super::daemon::Daemon;
use super::sandbox::{Inside, Sandbox};
use super::tools::{Tool, Tools};
use super::wait::{HANG_LIMIT, Probe, until};

/// containerd's socket on every node, and in every sandbox, which has a `/run` of its own.
pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";
/// Each node runs this image beside the containers of a pod.
pub(crate) const PAUSE_IMAGE: &str = "localhost/daxfit/pause:1";
/// Where the kubelet's containers and images are kept.
const NAMESPACE: &str = "k8s.io";

/// A running containerd; killed when dropped.
pub(crate) struct Containerd {
    sandbox: Arc<Sandbox>,
    tools: Tools,
    daemon: Daemon,
}

impl Containerd {
    /// Starts containerd with this configuration and imports the images in `archives`. Its outputs go to `log`.
    pub(crate) async fn with_images(
        sandbox: Arc<Sandbox>,
        tools: &Tools,
        config: &Path,
        log: &Path,
        archives: impl Iterator<Item = &Path>,
    ) -> Result<Self> {
        let mut containerd = Self {
            daemon: spawn(&sandbox, tools, config, log)?,
            tools: tools.clone(),
            sandbox,
        };
        containerd.wait_until_it_answers().await?;
        for archive in archives {
            let mut import = containerd.ctr(&["--namespace", NAMESPACE, "images", "import"]);
            import.arg(archive);
            run(import).await?;
        }
        Ok(containerd)
    }

    /// Kills it. Nothing is lost: each import ended with a commit to its database.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.daemon.kill()
    }

    async fn wait_until_it_answers(&mut self) -> Result<()> {
        until("containerd to answer", HANG_LIMIT, async || match self.daemon.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => run(self.ctr(&["version"])).await.into(),
        })
        .await
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(Inside::Mounts, self.tools.path(Tool::Ctr));
        command.args(["--address", SOCKET]).args(arguments);
        command.into()
    }
}

fn spawn(sandbox: &Sandbox, tools: &Tools, config: &Path, log: &Path) -> Result<Daemon> {
    let mut command = sandbox.command(Inside::All, tools.path(Tool::Containerd));
    command.arg("--config").arg(config);
    // Its own shim comes first: Debian's containerd package brings an old one that fails oddly.
    let own = tools.containerd_folder().display();
    command.env("PATH", format!("{own}:/usr/sbin:/usr/bin:/sbin:/bin"));
    Daemon::spawn_entering("containerd", command, log)
}
