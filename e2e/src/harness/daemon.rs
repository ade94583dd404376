//! Processes that cannot outlive the harness.
//!
//! Each one is started through `setpriv --pdeathsig KILL`, so that the kernel kills it when the thread that
//! started it ends (`prctl(2)`, `PR_SET_PDEATHSIG`). That thread lives as long as the harness, so an orderly end, ctrl-c
//! and a crash come to the same.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

type Job = Box<dyn FnOnce() + Send>;

/// The thread that starts every daemon: a signal on the parent's death is a signal on the death of the parent *thread*.
static LAUNCHER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    thread::spawn(move || queue.into_iter().for_each(|job| job()));
    jobs
});

/// A command line that dies with the harness when started by [`Daemon::spawn`] or [`spawn_bound`].
pub(crate) fn bound_to_harness(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Starts a command from the thread that lives as long as the harness.
pub(crate) fn spawn_bound(mut command: Command) -> Result<Child> {
    let (answer, started) = mpsc::channel();
    let job: Job = Box::new(move || {
        // The receiver waits below; if it is gone, so is the whole caller.
        let _unheard = answer.send(command.spawn());
    });
    LAUNCHER
        .send(job)
        .map_err(|_| anyhow!("the launcher thread has ended"))?;
    let child = started.recv().context("the launcher thread has ended")?;
    child.context("starting a process (is setpriv of util-linux installed?)")
}

/// A long-running process with its output in a file; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    log: PathBuf,
    child: Child,
    /// The program runs as the only child of `child`.
    enters: bool,
}

impl Daemon {
    /// Starts `command` (made with [`bound_to_harness`]), appending both its outputs to `log`.
    pub(crate) fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = append_to(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn_bound(command).with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
            enters: false,
        })
    }

    /// Like [`Self::spawn`], for a command that enters a process namespace and runs the program as its child there.
    pub(crate) fn spawn_entering(name: &str, command: Command, log: &Path) -> Result<Self> {
        let mut daemon = Self::spawn(name, command, log)?;
        daemon.enters = true;
        Ok(daemon)
    }

    /// The process, unless it was started with [`Self::spawn_entering`]: each program on the way runs the next in its place.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What all threads of the process have taken of the processors so far: `utime` and `stime` in proc(5).
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let file = Path::new("/proc").join(self.pid().to_string()).join("stat");
        let stat = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let ticks = ticks(&stat).with_context(|| format!("{} is {stat:?}", file.display()))?;
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }

    /// Fails with the end of its log when the process has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Kills the process with SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        let name = self.name.clone();
        self.signal().with_context(|| format!("killing {name}"))?;
        self.child.wait().with_context(|| format!("waiting for {name}"))?;
        Ok(())
    }

    fn signal(&mut self) -> Result<()> {
        if self.enters
            && self.child.try_wait()?.is_none()
            && let Some(program) = only_child(self.child.id())?.and_then(Pid::from_raw)
        {
            // nsenter ends when the program does, so that waiting for it is enough.
            return Ok(kill_process(program, Signal::KILL)?);
        }
        Ok(self.child.kill()?)
    }

    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let (name, log) = (&self.name, self.log.display());
        anyhow!("{name} ended with {status}; the end of {log}:\n{}", tail(&self.log, 15))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!("{error:#}");
        }
    }
}

/// The name of the program is in brackets, and may have spaces in it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).take(2);
    Some(times.next()?.parse::<u64>().ok()? + times.next()?.parse::<u64>().ok()?)
}

/// The only child of a process, such as what `unshare --fork` or `nsenter --pid` runs.
pub(crate) fn only_child(pid: u32) -> Result<Option<i32>> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("process {pid} has ended"))?;
    Ok(list.split_whitespace().next().and_then(|id| id.parse().ok()))
}

/// The last `lines` lines of a text file, or why it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => return format!("({}: {error})", path.display()),
    };
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn append_to(log: &Path) -> Result<File> {
    let open = || -> io::Result<File> {
        if let Some(folder) = log.parent() {
            std::fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).open(log)
    };
    open().with_context(|| format!("opening {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_process_are_read_whatever_it_is_called() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 17 0 0 20 0 9 0 100 0 0";
        assert_eq!(ticks(stat), Some(267));
        assert_eq!(ticks("7 (a"), None);
    }
}
