//! Short commands, run to their end.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Runs a command and returns what it printed on standard output.
///
/// # Errors
/// The command does not start, or fails; the error then has the end of its standard error.
pub(crate) async fn capture(mut command: Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("starting {}", shown(&command)))?;
    checked(&command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command whose output is of interest only when it fails.
///
/// # Errors
/// As [`capture`].
pub(crate) async fn run(command: Command) -> Result<()> {
    capture(command).await.map(drop)
}

/// Runs a command that talks to the person itself.
///
/// # Errors
/// The command does not start, or fails.
pub(crate) async fn run_in_view(mut command: Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .with_context(|| format!("starting {}", shown(&command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(&command));
    }
    Ok(())
}

fn checked(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().collect();
    let end = lines[lines.len().saturating_sub(30)..].join("\n");
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
}
