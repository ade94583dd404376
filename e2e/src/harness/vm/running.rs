//! Starting a machine, running commands in it, and ending it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use placement::Bytes;
use tokio::time::{sleep, timeout};

use super::accel::Accel;
use super::agent::{Agent, Listening, Output};
use super::console::Console;
use super::machine::{BackingFile, Machine, agent_socket};
use super::monitor::{self, monitor_socket};
use crate::harness::daemon::{Daemon, bound_to_harness, tail};
use crate::harness::guest::Guest;
use crate::harness::room;

/// A node with systemd takes a minute and a half on two idle cores under software emulation.
const BOOT_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Only ends a command that hangs.
const COMMAND_LIMIT: Duration = Duration::from_secs(20 * 60);
/// Between two looks at the console of a machine that boots.
const CHECK_CONSOLE_EVERY: Duration = Duration::from_secs(5);
/// What a guest may write on its root disk, which QEMU keeps in a file until the machine ends.
const ROOT_DISK: Bytes = Bytes::gib(1);
/// Between two looks whether QEMU still runs.
const CHECK_EVERY: Duration = Duration::from_millis(200);

/// A running virtual machine; killed when dropped, and when the harness ends in any way.
#[derive(Debug)]
pub(crate) struct Vm {
    qemu: Daemon,
    agent: Agent,
    monitor: PathBuf,
    console: Console,
    name: String,
}

impl Vm {
    /// Starts a machine and waits until commands can run in it, see [`Machine::boot`].
    pub(super) async fn start(
        machine: &Machine,
        guest: &Guest,
        accel: Accel,
        folder: &Path,
        console: Console,
    ) -> Result<Self> {
        make_backing_files(machine, folder)?;
        room::ensure_free(folder, may_be_written(machine, folder)?)?;
        let socket = agent_socket(folder);
        if socket.exists() {
            fs::remove_file(&socket).with_context(|| format!("removing {}", socket.display()))?;
        }
        let listening = Listening::at(&socket)?;
        let line = machine.command_line(guest, accel, folder);
        let qemu = start_qemu(&machine.name, &line, console.path())?;
        let (qemu, agent) = connected(qemu, listening).await?;
        let mut vm = Self {
            qemu,
            agent,
            monitor: monitor_socket(folder),
            console,
            name: machine.name.clone(),
        };
        vm.wait_until_ready().await?;
        Ok(vm)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let ready = tokio::select! {
            ready = timeout(BOOT_LIMIT, self.agent.ready()) => ready,
            error = ended(&mut self.qemu) => return Err(error),
            reason = given_up(&self.console) => bail!("{}: {reason}", self.name),
        };
        match ready {
            Ok(ready) => ready.with_context(|| self.end_of_console()),
            Err(_) => bail!(
                "{} was not up after {BOOT_LIMIT:?}\n{}",
                self.name,
                self.end_of_console()
            ),
        }
    }

    /// Runs a bash script as root in the guest and waits for its end, whatever its exit status.
    ///
    /// Background processes that it starts keep running; their output is lost unless redirected.
    /// It is an error if the machine ends or the script takes more than 20 minutes.
    pub(crate) async fn run(&self, script: &str) -> Result<Output> {
        match timeout(COMMAND_LIMIT, self.agent.run(script)).await {
            Ok(output) => {
                output.with_context(|| format!("running in {}: {script}\n{}", self.name, self.end_of_console()))
            }
            Err(_) => bail!(
                "still running in {} after {COMMAND_LIMIT:?}: {script}\n{}",
                self.name,
                self.end_of_console()
            ),
        }
    }

    /// Runs a bash script that has to succeed, and returns its standard output. An error has all that it printed.
    pub(crate) async fn shell(&self, script: &str) -> Result<String> {
        let Output { status, stdout, stderr } = self.run(script).await?;
        if status != 0 {
            bail!("exit status {status} in {} of: {script}\n{stdout}{stderr}", self.name);
        }
        Ok(stdout)
    }

    /// Gives a command of QEMU's human monitor that is silent when it works, such as `mce`.
    pub(crate) async fn monitor(&self, command: &str) -> Result<()> {
        monitor::command(&self.monitor, command).await
    }

    /// Fails when the machine has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.qemu.check()
    }

    /// Ends the machine as a power cut does. The NVDIMMs keep what was written.
    pub(crate) fn cut_power(mut self) -> Result<()> {
        self.qemu.kill()
    }

    /// The file with what the kernel and init print.
    pub(crate) fn console(&self) -> &Path {
        self.console.path()
    }

    fn end_of_console(&self) -> String {
        let console = self.console.path();
        format!("the end of {}:\n{}", console.display(), tail(console, 15))
    }
}

/// Sparse files: only what the guest writes takes space.
fn make_backing_files(machine: &Machine, folder: &Path) -> Result<()> {
    for BackingFile { path, size } in machine.backing_files(folder) {
        if !path.exists() {
            let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
            file.set_len(size.get_u64())
                .with_context(|| format!("sizing {}", path.display()))?;
        }
    }
    Ok(())
}

/// What the files of the memory devices may still take of the disk, and what the guest may write on its root disk.
fn may_be_written(machine: &Machine, folder: &Path) -> Result<Bytes> {
    const BLOCK: i64 = 512;
    let mut missing = ROOT_DISK;
    for BackingFile { path, size } in machine.backing_files(folder) {
        let file = fs::metadata(&path).with_context(|| format!("asking for the size of {}", path.display()))?;
        let taken = Bytes::try_from(file.blocks())?.times(BLOCK);
        missing = missing.plus(size.minus(taken));
    }
    Ok(missing)
}

fn start_qemu(name: &str, line: &[String], console: &Path) -> Result<Daemon> {
    let (program, arguments) = line.split_first().context("an empty command line")?;
    let mut command = bound_to_harness(program);
    command.args(arguments);
    Daemon::spawn(&format!("QEMU of {name}"), command, console)
}

async fn connected(mut qemu: Daemon, listening: Listening) -> Result<(Daemon, Agent)> {
    tokio::select! {
        agent = listening.accept() => Ok((qemu, agent?)),
        error = ended(&mut qemu) => Err(error),
    }
}

/// Waits until the kernel shows that it will never be up, and returns how.
async fn given_up(console: &Console) -> String {
    loop {
        if let Some(reason) = console.given_up() {
            return reason;
        }
        sleep(CHECK_CONSOLE_EVERY).await;
    }
}

/// Waits until QEMU has ended by itself, and returns why.
async fn ended(qemu: &mut Daemon) -> anyhow::Error {
    loop {
        if let Err(error) = qemu.check() {
            return error;
        }
        sleep(CHECK_EVERY).await;
    }
}
