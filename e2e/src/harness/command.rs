//! Short commands, run to their end.

use std::process::{ExitStatus, Output, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// Lines of output that the error about a failed command has.
const SHOWN: usize = 30;

/// Runs a command and returns what it printed on standard output. A failure has the last lines that it printed.
pub(crate) async fn capture(mut command: Command) -> Result<String> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (child, group) = start(&mut command)?;
    let output = child.wait_with_output().await.with_context(|| shown(&command))?;
    group.has_ended();
    checked(&command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command whose output is of interest only when it fails.
pub(crate) async fn run(command: Command) -> Result<()> {
    capture(command).await.map(drop)
}

/// Runs a command that talks to the person itself.
pub(crate) async fn run_in_view(mut command: Command) -> Result<()> {
    let (mut child, group) = start(&mut command)?;
    let status: ExitStatus = child.wait().await.with_context(|| shown(&command))?;
    group.has_ended();
    if !status.success() {
        bail!("{} failed: {status}", shown(&command));
    }
    Ok(())
}

fn start(command: &mut Command) -> Result<(Child, Group)> {
    let child = command
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", shown(command)))?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    Ok((child, group))
}

/// A command and all that it started, such as the compilers of a build: killed when dropped before its end.
struct Group(Option<Pid>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Already gone counts as success.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn checked(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let printed = String::from_utf8_lossy(&printed);
    let lines: Vec<&str> = printed.lines().collect();
    let end = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    bail!("{} failed ({}):\n{end}", shown(command), output.status)
}

/// The command line as a person would type it, without the environment.
fn shown(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn output_is_returned() {
        assert_eq!(capture(shell("echo hello; echo noise >&2")).await.unwrap(), "hello\n");
    }

    #[tokio::test]
    async fn a_failure_says_what_and_why() {
        let error = run(shell("echo because >&2; exit 3")).await.unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("because"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_command_that_nobody_waits_for_ends_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let (begun, survived) = (folder.path().join("begun"), folder.path().join("survived"));
        let script = format!(
            "(touch {}; sleep 0.5; touch {}) & wait",
            begun.display(),
            survived.display()
        );
        let running = tokio::spawn(run(shell(&script)));
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        running.abort();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!survived.exists());
    }
}
