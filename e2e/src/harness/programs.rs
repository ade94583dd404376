//! Programs of this workspace, built as users get them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use tokio::process::Command;

use crate::harness::command::capture;
use crate::harness::progress::step;

/// Something that cargo makes an executable of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The crate it is in.
    pub(crate) package: &'static str,
    /// `--bin`, `--example` or `--test`.
    pub(crate) kind: &'static str,
    /// Its name, also that of the executable in the folder where it is wanted.
    pub(crate) name: &'static str,
}

pub(crate) const OPERATOR: Program = Program {
    package: "daxfit-operator",
    kind: "--bin",
    name: "daxfit-operator",
};
pub(crate) const EXTENDER: Program = Program {
    package: "daxfit-extender",
    kind: "--bin",
    name: "daxfit-extender",
};
pub(crate) const NODE_DRIVER: Program = Program {
    package: "daxfit-node-driver",
    kind: "--bin",
    name: "daxfit-node-driver",
};
/// Many nodes in one process.
pub(crate) const HOLLOW_NODES: Program = Program {
    package: "daxfit-node-driver",
    kind: "--example",
    name: "hollow-nodes",
};
/// Makes and erases volumes by the node driver's code, without Kubernetes.
pub(crate) const STANDALONE_VOLUME: Program = Program {
    package: "daxfit-node-driver",
    kind: "--example",
    name: "standalone-volume",
};
/// Measures how long the node driver takes to stage a volume beside others.
pub(crate) const STAGE_BESIDE: Program = Program {
    package: "daxfit-node-driver",
    kind: "--example",
    name: "stage-beside",
};
/// Measures how long the node driver takes to make volumes, and how fast it erases them.
pub(crate) const ZERO_SPACE: Program = Program {
    package: "daxfit-node-driver",
    kind: "--example",
    name: "zero-space",
};
/// Prints what `libs/ndctl` sees and does.
pub(crate) const NDCTL_PROBE: Program = Program {
    package: "ndctl",
    kind: "--example",
    name: "ndctl-probe",
};

/// Lives through one history of the whole system in one process.
pub(crate) const SIMULATION: Program = Program {
    package: "simulation",
    kind: "--bin",
    name: "simulation",
};

/// All that may be wanted, always built together.
const ALL: [Program; 8] = [
    OPERATOR,
    EXTENDER,
    NODE_DRIVER,
    HOLLOW_NODES,
    STANDALONE_VOLUME,
    STAGE_BESIDE,
    ZERO_SPACE,
    NDCTL_PROBE,
];

/// Builds programs with the release profile and copies each into `folder` under its name.
pub(crate) async fn build_into(folder: &Path, programs: &[Program]) -> Result<()> {
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    let messages = step(&format!("building {}", names.join(", ")), build(&ALL)).await?;
    for name in names {
        let built = executable(&messages, name).with_context(|| format!("cargo does not say where {name} is"))?;
        fs::copy(&built, folder.join(name)).with_context(|| format!("copying {}", built.display()))?;
    }
    Ok(())
}

/// Builds programs and returns cargo's messages. One call of cargo for all that users get: the features of what they share depend
/// on which packages are built together, so that one call for each would build Kubernetes' types several times.
async fn build(programs: &[Program]) -> Result<String> {
    capture(release_build(Path::new(env!("CARGO_MANIFEST_DIR")), programs)).await
}

fn release_build(workspace: &Path, programs: &[Program]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace).args([
        "build",
        "--release",
        "--quiet",
        "--message-format",
        "json-render-diagnostics",
    ]);
    for Program { package, kind, name } in programs {
        command.args(["--package", package, kind, name]);
    }
    command
}

/// Builds a program with the release profile that is not one of those that users get, and returns where it is. What it needs of
/// libraries must not get into the others.
pub(crate) async fn build_alone(program: Program) -> Result<PathBuf> {
    let name = program.name;
    let messages = step(&format!("building {name}"), build(&[program])).await?;
    executable(&messages, name).with_context(|| format!("cargo does not say where {name} is"))
}

/// Builds a program of another copy of the workspace, and returns where it is.
pub(crate) async fn build_in(workspace: &Path, target: &Path, program: Program) -> Result<PathBuf> {
    let name = program.name;
    let mut command = release_build(workspace, &[program]);
    command.env("CARGO_TARGET_DIR", target);
    let messages = step(&format!("building {name} of {}", workspace.display()), capture(command)).await?;
    executable(&messages, name).with_context(|| format!("cargo does not say where {name} is"))
}

/// A message of cargo, as far as it matters here ("External tools" in the Cargo book).
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let parsed = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    parsed
        .filter(|message| message.target.as_ref().is_some_and(|target| target.name == name))
        .find_map(|m| m.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_of_the_program_is_found() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"ours"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"ours"},"executable":"/target/release/ours"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, "ours"),
            Some(PathBuf::from("/target/release/ours"))
        );
        assert_eq!(executable(messages, "serde"), None);
    }
}
