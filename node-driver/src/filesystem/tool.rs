//! Runs the tools that come with Linux.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

use super::error::FilesystemError;

/// What a tool did.
pub(super) struct Finished {
    tool: &'static str,
    output: Output,
}

/// Runs a tool to its end. It reads nothing, and writes in English.
pub(super) fn run<A: AsRef<OsStr>>(tool: &'static str, arguments: &[A]) -> Result<Finished, FilesystemError> {
    tracing::debug!(tool, arguments = ?arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>(), "running");
    let output = Command::new(tool)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| FilesystemError::Start { tool, source })?;
    Ok(Finished { tool, output })
}

impl Finished {
    /// The code it ended with, none if it was killed.
    pub(super) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// What it wrote to its standard output.
    pub(super) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// An error if it did not end with 0.
    pub(super) fn success(self) -> Result<(), FilesystemError> {
        if self.output.status.success() {
            return Ok(());
        }
        Err(self.failure())
    }

    /// The error that it ended with.
    pub(super) fn failure(self) -> FilesystemError {
        let text = [self.output.stderr, self.output.stdout].concat();
        FilesystemError::Tool {
            tool: self.tool,
            status: self.output.status.to_string(),
            output: first_lines(&String::from_utf8_lossy(&text)),
        }
    }
}

/// `mkfs.xfs` writes the reason first, and then a page about its options.
fn first_lines(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let before_usage = lines.take_while(|line| !line.starts_with("Usage:"));
    before_usage.take(5).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_reason() {
        let failed = run("sh", &["-c", "echo out; echo why >&2; echo Usage: x >&2; exit 3"]);
        let error = failed.unwrap().success().unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit status: 3): why");
        assert!(run("sh", &["-c", "exit 0"]).unwrap().success().is_ok());
    }

    #[test]
    fn a_missing_tool_is_named() {
        let error = run::<&str>("no-such-tool", &[]).err().unwrap();
        assert!(error.to_string().contains("no-such-tool"), "{error}");
    }
}
