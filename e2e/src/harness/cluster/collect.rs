//! Everything that a cluster and its PMEM node can be asked when something failed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::harness::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use crate::harness::logs::save;
use crate::harness::vm::Vm;

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

/// Saves the objects of the cluster and the logs of our pods.
pub(super) async fn objects(kubectl: &Kubectl, folder: &Path) -> Result<()> {
    for kind in OBJECTS {
        let printed = kubectl.run(&["get", "--all-namespaces", "--output=yaml", kind]).await;
        save(&folder.join(format!("{kind}.yaml")), printed)?;
    }
    let listed = kubectl
        .items(&["pods", "--namespace", SYSTEM_NAMESPACE])
        .await
        .unwrap_or_default();
    for name in listed.iter().filter_map(|pod| pod["metadata"]["name"].as_str()) {
        pod(kubectl, name, folder).await?;
    }
    Ok(())
}

/// Saves what the containers of a pod log, and what they logged before they were restarted.
async fn pod(kubectl: &Kubectl, name: &str, folder: &Path) -> Result<()> {
    for (which, suffix) in [("--previous=false", ""), ("--previous=true", "-previous")] {
        let line = [
            "logs",
            "--namespace",
            SYSTEM_NAMESPACE,
            name,
            "--all-containers",
            "--prefix",
            "--tail=-1",
            which,
        ];
        save(&folder.join(format!("{name}{suffix}.log")), kubectl.run(&line).await)?;
    }
    Ok(())
}

/// Saves the guest's journal, kernel log, namespaces, mounts and console.
pub(super) async fn guest(vm: &Vm, folder: &Path) -> Result<()> {
    for (name, script) in GUEST {
        save(&folder.join(name), vm.shell(script).await)?;
    }
    let console = fs::read(vm.console()).context("reading the console's log")?;
    fs::write(folder.join("console.log"), console).context("saving the console's log")
}
