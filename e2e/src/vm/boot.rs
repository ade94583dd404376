//! Starting a machine, running commands in it, and ending it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{sleep, timeout};

use super::agent::{Agent, Listening};
use super::machine::agent_socket;
use super::{Accel, Machine, Output};
use crate::cluster::launch::{Daemon, bound_to_harness, tail};
use crate::guest::Guest;

/// A node with systemd takes a minute and a half on two idle cores under software emulation.
const BOOT_LIMIT: Duration = Duration::from_secs(15 * 60);
/// For a command of which nothing else is known.
const COMMAND_LIMIT: Duration = Duration::from_secs(10 * 60);
const GLANCE: Duration = Duration::from_millis(200);

/// A running virtual machine; killed when dropped, and when the harness ends in any way.
#[derive(Debug)]
pub(crate) struct Vm {
    qemu: Daemon,
    agent: Agent,
    console: PathBuf,
    name: String,
}

impl Machine {
    /// Starts the machine and waits until commands can run in it.
    ///
    /// The bytes of its NVDIMMs are files in `folder`: they are made when missing, and a machine booted again in the same
    /// folder finds what was written. The console goes to the end of the file `console`.
    ///
    /// # Errors
    /// QEMU does not start or the guest does not come up; the end of the console is in the error.
    pub(crate) async fn boot(&self, guest: &Guest, folder: &Path, console: &Path) -> Result<Vm> {
        self.boot_with(guest, Accel::best(guest).await?, folder, console).await
    }

    pub(super) async fn boot_with(&self, guest: &Guest, accel: Accel, folder: &Path, console: &Path) -> Result<Vm> {
        self.make_backing_files(folder)?;
        let socket = agent_socket(folder);
        if socket.exists() {
            fs::remove_file(&socket).with_context(|| format!("removing {}", socket.display()))?;
        }
        let listening = Listening::at(&socket)?;
        let qemu = self.start_qemu(guest, accel, folder, console)?;
        let (name, console) = (self.name.clone(), console.to_owned());
        let (qemu, agent) = connected(qemu, listening).await?;
        let mut vm = Vm {
            qemu,
            agent,
            console,
            name,
        };
        vm.wait_until_ready().await?;
        Ok(vm)
    }

    fn start_qemu(&self, guest: &Guest, accel: Accel, folder: &Path, console: &Path) -> Result<Daemon> {
        let line = self.command_line(guest, accel, folder);
        let (program, arguments) = line.split_first().context("an empty command line")?;
        let mut command = bound_to_harness(program);
        command.args(arguments);
        Daemon::spawn(&format!("QEMU of {}", self.name), command, console)
    }

    /// Sparse files: only what the guest writes takes space.
    fn make_backing_files(&self, folder: &Path) -> Result<()> {
        for (index, size) in self.backing_sizes().enumerate() {
            let path = Self::backing_file(folder, index);
            if !path.exists() {
                let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
                file.set_len(size.get_u64())
                    .with_context(|| format!("sizing {}", path.display()))?;
            }
        }
        Ok(())
    }
}

async fn connected(mut qemu: Daemon, listening: Listening) -> Result<(Daemon, Agent)> {
    tokio::select! {
        agent = listening.accept() => Ok((qemu, agent?)),
        error = ended(&mut qemu) => Err(error),
    }
}

/// Waits until the process has ended, which nobody wished for.
async fn ended(qemu: &mut Daemon) -> anyhow::Error {
    loop {
        if let Err(error) = qemu.check() {
            return error;
        }
        sleep(GLANCE).await;
    }
}

impl Vm {
    async fn wait_until_ready(&mut self) -> Result<()> {
        let ready = tokio::select! {
            ready = timeout(BOOT_LIMIT, self.agent.ready()) => ready,
            error = ended(&mut self.qemu) => return Err(error),
        };
        match ready {
            Ok(ready) => ready.with_context(|| self.said()),
            Err(_) => bail!("{} was not up after {BOOT_LIMIT:?}\n{}", self.name, self.said()),
        }
    }

    /// Runs a bash script as root in the guest and waits for its end, whatever its exit status.
    ///
    /// Background processes that it starts keep running; their output is lost unless redirected.
    ///
    /// # Errors
    /// The machine ended, or the script took more than ten minutes.
    pub(crate) async fn run(&self, script: &str) -> Result<Output> {
        match timeout(COMMAND_LIMIT, self.agent.run(script)).await {
            Ok(output) => output.with_context(|| format!("running in {}: {script}\n{}", self.name, self.said())),
            Err(_) => bail!(
                "still running in {} after {COMMAND_LIMIT:?}: {script}\n{}",
                self.name,
                self.said()
            ),
        }
    }

    /// Runs a bash script that has to succeed, and returns its standard output.
    ///
    /// # Errors
    /// As [`Vm::run`], and when the exit status is not zero; the error then has what the script printed.
    pub(crate) async fn shell(&self, script: &str) -> Result<String> {
        let Output { status, stdout, stderr } = self.run(script).await?;
        if status != 0 {
            bail!("exit status {status} in {} of: {script}\n{stdout}{stderr}", self.name);
        }
        Ok(stdout)
    }

    /// Ends the machine as a power cut does. The NVDIMMs keep what was written.
    ///
    /// # Errors
    /// QEMU cannot be killed.
    pub(crate) fn cut_power(mut self) -> Result<()> {
        self.qemu.kill()
    }

    /// What the kernel and init print.
    pub(crate) fn console(&self) -> &Path {
        &self.console
    }

    fn said(&self) -> String {
        format!("the end of {}:\n{}", self.console.display(), tail(&self.console, 15))
    }
}
