//! The cluster as a person works with it: through kubectl.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::harness::command;

/// The namespace that the manifests create.
pub(crate) const SYSTEM_NAMESPACE: &str = "daxfit-system";

/// kubectl with the rights of an administrator.
#[derive(Clone, Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    /// What `kubectl ARGUMENTS` prints. An error has what kubectl printed.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<String> {
        command::capture(self.command(arguments)).await
    }

    /// The answer of `kubectl ARGUMENTS -o json`.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["-o", "json"]].concat()).await?;
        serde_json::from_str(&printed).with_context(|| format!("kubectl {} printed no JSON", arguments.join(" ")))
    }

    /// The items of the list that `kubectl get ARGUMENTS` answers with.
    pub(crate) async fn items(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let list = self.json(&[&["get"], arguments].concat()).await?;
        let items = list["items"].as_array().context("the answer is no list")?;
        Ok(items.clone())
    }

    /// Applies objects, as `kubectl apply -f -` does. An error has what the API server answered.
    pub(crate) async fn apply(&self, objects: &[Value]) -> Result<()> {
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": objects });
        let mut child = self
            .command(&["apply", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting kubectl apply")?;
        let mut stdin = child.stdin.take().context("kubectl apply has no standard input")?;
        stdin
            .write_all(list.to_string().as_bytes())
            .await
            .context("writing to kubectl apply")?;
        drop(stdin);
        let output = child.wait_with_output().await.context("waiting for kubectl apply")?;
        let printed = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl apply failed: {}", printed.trim());
        Ok(())
    }

    /// Waits until all pods of a workload of Daxfit, such as "daemonset/daxfit-extender", are up and as it says.
    pub(crate) async fn rolled_out(&self, workload: &str) -> Result<()> {
        // It only ends a run that hangs: a pod on the emulated node takes some 15 s.
        let line = [
            "rollout",
            "status",
            "--namespace",
            SYSTEM_NAMESPACE,
            "--timeout=15m",
            workload,
        ];
        self.run(&line).await.map(drop)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }
}
