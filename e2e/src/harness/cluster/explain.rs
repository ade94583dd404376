//! Asks the extender why a pod waits, as an administrator does on a control plane node.

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::harness::command::capture;
use crate::harness::sandbox::{Inside, Sandbox};

/// Where the extender puts certificates for its callers.
const FOLDER: &str = "/etc/kubernetes/daxfit";
const ADDRESS: &str = "https://127.0.0.1:10361/v1/explain";

/// What the extender answers about a pod in the namespace "default", as in docs/scheduling.md, "Why not this node?".
pub(super) async fn explain(sandbox: &Sandbox, pod: &str) -> Result<Value> {
    let file = |name: &str| format!("{FOLDER}/{name}");
    let mut command: Command = sandbox.command(Inside::Mounts, "curl").into();
    command.args(["--silent", "--show-error", "--fail-with-body"]);
    command.args(["--cacert", &file("ca.crt")]);
    command.args(["--cert", &file("client.crt"), "--key", &file("client.key")]);
    command.arg(format!("{ADDRESS}?namespace=default&pod={pod}"));
    let answer = capture(command)
        .await
        .with_context(|| format!("asking about pod {pod}"))?;
    serde_json::from_str(&answer).with_context(|| format!("the answer about pod {pod} is no JSON: {answer}"))
}
