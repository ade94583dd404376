//! What every part has to say, saved where it outlives the run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::install::NAMESPACE;
use crate::kubectl::Kubectl;
use crate::vm::Vm;

const OBJECTS: [&str; 10] = [
    "nodes",
    "pods",
    "events",
    "persistentvolumeclaims",
    "persistentvolumes",
    "csinodes",
    "csistoragecapacities",
    "pmemnodes",
    "pmemvolumes",
    "daemonsets,deployments",
];

/// Scripts for the guest, and the names of the files that get what they print.
const GUEST: [(&str, &str); 4] = [
    ("journal.log", "journalctl --no-pager --output=short-precise"),
    ("dmesg.log", "dmesg"),
    ("ndctl.json", "ndctl list --buses --dimms --regions --namespaces --idle"),
    ("mounts.log", "cat /proc/mounts; df --all"),
];

/// The folder for the logs called `name`; emptied when there is one already.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e-logs");
    let folder = all.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    folder
        .canonicalize()
        .with_context(|| format!("looking for {}", folder.display()))
}

/// Saves the objects of the cluster and the logs of our pods.
pub(super) async fn save_objects(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    for kind in OBJECTS {
        let said = kubectl.run(&["get", "--all-namespaces", "--output=yaml", kind]).await;
        save(&folder.join(format!("{kind}.yaml")), said)?;
    }
    let listed = kubectl
        .items(&["pods", "--namespace", NAMESPACE])
        .await
        .unwrap_or_default();
    for name in listed.iter().filter_map(|pod| pod["metadata"]["name"].as_str()) {
        for (which, suffix) in [("--previous=false", ""), ("--previous=true", "-previous")] {
            let line = [
                "logs",
                "--namespace",
                NAMESPACE,
                name,
                "--all-containers",
                "--prefix",
                "--tail=-1",
                which,
            ];
            save(&folder.join(format!("{name}{suffix}.log")), kubectl.run(&line).await)?;
        }
    }
    Ok(())
}

/// Saves what the guest knows, with its console.
pub(super) async fn save_guest(vm: &Vm, folder: &Path) -> Result<()> {
    for (name, script) in GUEST {
        save(&folder.join(name), vm.shell(script).await)?;
    }
    let console = fs::read(vm.console()).context("reading the console's log")?;
    fs::write(folder.join("console.log"), console).context("saving the console's log")
}

/// Copies the logs that processes on this machine write into `source`.
pub(super) fn save_processes(source: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(source).with_context(|| format!("reading {}", source.display()))? {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|end| end == "log"))
        {
            fs::copy(&path, folder.join(name)).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}

/// What cannot be asked is part of the account: its error is saved in its place.
fn save(file: &Path, said: Result<String>) -> Result<()> {
    let text = said.unwrap_or_else(|error| format!("{error:#}\n"));
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
