//! What the API server keeps apart: who may write our objects, who may choose the nodes of the driver, and what each
//! credential can do.

use std::io::Write;

use anyhow::{Context, Result, anyhow, bail, ensure};
use crds::{KEPT, KEPT_IN};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::cluster::install;
use crate::harness::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use crate::harness::test_cluster::TestCluster;
use crate::harness::wait::{HANG_LIMIT, Probe, until};

const PATCH: &str = r#"{"metadata":{"annotations":{"csi.daxfit.dev/delete-volume":"true"}}}"#;
const REFUSAL: &str = "may not write what belongs to node";
const NODE_LABEL: &str = "daxfit.dev.node-restriction.kubernetes.io/pmem";
/// A driver of ours in another namespace, for all that its name says.
const STRANGER: &str = "system:serviceaccount:default:daxfit-node-driver";
/// What this module makes in the cluster.
const NAME: &str = "policy-test";

/// As the drivers.
fn as_driver() -> String {
    format!("--as=system:serviceaccount:{SYSTEM_NAMESPACE}:daxfit-node-driver")
}

/// With a token of a pod on `node`.
fn from(node: &str) -> String {
    format!("--as-user-extra=authentication.kubernetes.io/node-name={node}")
}

/// The token of a driver's pod names its node; writes about another one are denied.
pub(super) async fn a_driver_cannot_write_what_belongs_to_another_node(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    let driver = as_driver();
    let status = status_file(&node)?;
    let path = status.path().to_string_lossy();
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--subresource=status",
        "-f",
        &path,
    ];
    let write = async |extra: &[&str]| {
        let who = [&[driver.as_str()], extra].concat();
        let object = try_patch(kubectl, &["pmemnode", &node], &who).await;
        [object, kubectl.run(&[&apply[..], &who].concat()).await]
    };
    for own in write(&[&from(&node)]).await {
        ensure!(own.is_ok(), "the node's own driver is refused: {own:?}");
    }
    for other in write(&[&from("another")]).await {
        is_refused("another node's driver", other, REFUSAL)?;
    }
    for nowhere in write(&[]).await {
        is_refused("a driver without a node", nowhere, REFUSAL)?;
    }
    Ok(())
}

/// Whoever renews the Lease of a dead driver hides that it is dead.
pub(super) async fn a_driver_cannot_renew_the_lease_of_another(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    let driver = as_driver();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": format!("driver-{node}"), "namespace": SYSTEM_NAMESPACE },
        "spec": { "holderIdentity": "somebody" },
    });
    let mut file = NamedTempFile::with_suffix(".json")?;
    file.write_all(lease.to_string().as_bytes())?;
    let path = file.path().to_string_lossy();
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "-f",
        &path,
        &driver,
    ];
    let renew = async |extra: &[&str]| kubectl.run(&[&apply[..], extra].concat()).await;
    let own = renew(&[&from(&node)]).await;
    ensure!(own.is_ok(), "the node's own driver is refused: {own:?}");
    is_refused(
        "another node's driver",
        renew(&[&from("another")]).await,
        "may not renew Lease",
    )?;
    is_refused("a driver without a node", renew(&[]).await, "may not renew Lease")
}

/// kubectl reads a status before it patches it, which a driver may not; applied by the server, it is only written.
fn status_file(node: &str) -> Result<NamedTempFile> {
    let object = json!({
        "apiVersion": "daxfit.dev/v1alpha1",
        "kind": "PmemNode",
        "metadata": { "name": node },
        "status": { "backend": "a lie" },
    });
    let mut file = NamedTempFile::with_suffix(".json")?;
    file.write_all(object.to_string().as_bytes())?;
    Ok(file)
}

/// Whoever else may write our objects has to have the verb, whatever he is called; the garbage collector may release them.
pub(super) async fn rights_to_write_are_not_enough_without_the_verb(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    kubectl
        .apply(&[volume(), role(&["get", "patch", "create"]), binding()])
        .await?;
    let tried = async {
        strangers_are_refused(kubectl, &node).await?;
        kubectl
            .apply(&[role(&["get", "patch", "create", "write-any-node"])])
            .await?;
        let stranger = format!("--as={STRANGER}");
        becomes_allowed(kubectl, &["write-any-node", "pmemvolumes", &stranger]).await?;
        try_patch(kubectl, &["pmemvolume", NAME], &[&stranger]).await?;
        collector_only_releases(kubectl).await
    };
    let tried = tried.await;
    kubectl.run(&["delete", "clusterrole,clusterrolebinding", NAME]).await?;
    let volume = ["delete", "pmemvolume", NAME, "--ignore-not-found"];
    kubectl.run(&volume).await?;
    tried
}

async fn strangers_are_refused(kubectl: &Kubectl, node: &str) -> Result<()> {
    let stranger = format!("--as={STRANGER}");
    becomes_allowed(kubectl, &["patch", "pmemvolumes", &stranger]).await?;
    for object in [["pmemvolume", NAME], ["pmemnode", node]] {
        is_refused("a stranger", try_patch(kubectl, &object, &[&stranger]).await, REFUSAL)?;
    }
    Ok(())
}

/// The garbage collector of the cluster lets go of a volume that was deleted in the foreground. Its rights are good for
/// nothing else: it may not mark a volume as deleted.
async fn collector_only_releases(kubectl: &Kubectl) -> Result<()> {
    let collector = "--as=system:serviceaccount:kube-system:generic-garbage-collector";
    let marked = try_patch(kubectl, &["pmemvolume", NAME], &[collector]).await;
    is_refused("the garbage collector", marked, REFUSAL)?;
    let foreground = ["--cascade=foreground", "--wait=true", "--timeout=5m"];
    kubectl
        .run(&[&["delete", "pmemvolume", NAME][..], &foreground].concat())
        .await?;
    Ok(())
}

/// Who takes it away would have a volume whose data is lost made anew, empty.
pub(super) async fn what_says_that_a_volume_had_a_namespace_stays(cluster: &mut TestCluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let mut volume = volume();
    volume["metadata"]["annotations"] = json!({ KEPT: "true", KEPT_IN: "r0" });
    kubectl.apply(&[volume]).await?;
    let annotate = async |what: &str| {
        let what = ["annotate", "--overwrite", "pmemvolume", NAME, what];
        kubectl.run(&what).await
    };
    let tried = async {
        for what in [format!("{KEPT}-"), format!("{KEPT_IN}-"), format!("{KEPT_IN}=r1")] {
            is_refused(&what, annotate(&what).await, "never gets another")?;
        }
        annotate("example.com/harmless=yes").await.map(drop)
    };
    let tried = tried.await;
    kubectl.run(&["delete", "pmemvolume", NAME]).await?;
    tried
}

/// The node driver is privileged, and a DaemonSet: whoever can label a node invites it there.
pub(super) async fn a_kubelet_cannot_invite_the_driver(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    let driver = kubectl
        .json(&["get", "-n", SYSTEM_NAMESPACE, "daemonset/daxfit-node-driver"])
        .await?;
    let chosen_by = &driver["spec"]["template"]["spec"]["nodeSelector"];
    ensure!(chosen_by[NODE_LABEL] == "true", "nodes are chosen by {chosen_by}");
    let user = format!("--as=system:node:{node}");
    let label = async |label: &str| {
        let as_kubelet = [&user, "--as-group=system:nodes", "--overwrite", "--dry-run=server"];
        kubectl
            .run(&[&["label", "node", &node, label][..], &as_kubelet].concat())
            .await
    };
    let harmless = label("example.com/tried=yes").await;
    ensure!(harmless.is_ok(), "a kubelet cannot label its node at all: {harmless:?}");
    for restricted in [
        format!("{NODE_LABEL}=yes"),
        format!("{NODE_LABEL}-"),
        "node-role.kubernetes.io/control-plane=".into(),
    ] {
        is_refused(
            "the kubelet",
            label(&restricted).await,
            "is not allowed to modify labels",
        )?;
    }
    Ok(())
}

/// docs/security.md, "Tried, line by line": each `kubectl auth can-i` of it.
pub(super) async fn each_credential_can_do_what_security_md_says(cluster: &mut TestCluster) -> Result<()> {
    let (kubectl, node) = (&cluster.kubectl, cluster.node()?);
    let editor = ["create", "rolebinding", NAME, "--clusterrole=edit", "--user=editor"];
    kubectl.run(&editor).await?;
    let wrong = wrong_lines(kubectl, &node).await;
    kubectl.run(&["delete", "rolebinding", NAME]).await?;
    let wrong = wrong?;
    ensure!(wrong.is_empty(), "docs/security.md says otherwise: {wrong:#?}");
    Ok(())
}

/// What the API server answers otherwise than the page says.
async fn wrong_lines(kubectl: &Kubectl, node: &str) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for line in tried_lines(include_str!("../../../docs/security.md"))? {
        let user = format!("--as={}", line.who.replace("NODE", node));
        for (expected, what) in line.expectations() {
            let what = what.replace("NODE", node);
            let mut arguments: Vec<&str> = what.split_whitespace().chain([user.as_str()]).collect();
            if line.who.starts_with("system:node:") {
                arguments.push("--as-group=system:nodes");
            }
            if can(kubectl, &arguments).await? != expected {
                wrong.push(format!("{} {what}: not {expected}", line.who));
            }
        }
    }
    Ok(wrong)
}

/// A line of the table: who, and what `kubectl auth can-i` is asked.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    who: &'a str,
    may: Vec<&'a str>,
    may_not: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn expectations(&self) -> impl Iterator<Item = (bool, &'a str)> {
        let may = self.may.iter().map(|what| (true, *what));
        may.chain(self.may_not.iter().map(|what| (false, *what)))
    }
}

fn tried_lines(page: &str) -> Result<Vec<Line<'_>>> {
    let table = page
        .split_once("## Tried, line by line")
        .context("the page has no such table")?
        .1;
    let lines = table.lines().filter(|line| line.starts_with("| `"));
    lines.map(tried_line).collect()
}

fn tried_line(line: &str) -> Result<Line<'_>> {
    let cells: Vec<Vec<&str>> = line
        .split('|')
        .map(|cell| cell.split('`').skip(1).step_by(2).collect())
        .collect();
    match &cells[..] {
        [_, who, may, may_not, _] if who.len() == 1 => Ok(Line {
            who: who[0],
            may: may.clone(),
            may_not: may_not.clone(),
        }),
        _ => bail!("not a line of who may what: {line}"),
    }
}

/// Installed in another namespace, nothing names ours, and the policy that narrows writes is still bound.
pub(super) async fn an_overlay_with_another_namespace_names_ours_nowhere(cluster: &mut TestCluster) -> Result<()> {
    let folder = tempfile::tempdir()?;
    install::write_overlay(
        folder.path(),
        "base",
        json!({ "namespace": "other", "namePrefix": "team-" }),
    )?;
    let path = folder.path().to_string_lossy();
    let rendered = cluster.kubectl.run(&["kustomize", &path]).await?;
    let ours: Vec<&str> = rendered
        .lines()
        .filter(|line| line.contains(SYSTEM_NAMESPACE))
        .collect();
    ensure!(ours.is_empty(), "{SYSTEM_NAMESPACE} is still named: {ours:#?}");
    let wake = rendered.matches("team-daxfit-wake").count();
    ensure!(wake == 3, "the object, the right to write it and who writes it: {wake}");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered)?;
    let renamed = |kind: &str, name: &str| {
        let mut of_kind = objects.iter().filter(|object| object["kind"] == kind);
        let found = of_kind.find(|object| object["metadata"]["name"] == name);
        found.with_context(|| format!("there is no {kind} {name}"))
    };
    for name in ["team-daxfit-node-driver", "team-daxfit-driver-lease"] {
        let bound = renamed("ValidatingAdmissionPolicyBinding", name)?;
        ensure!(bound["spec"]["policyName"] == name, "{bound}");
    }
    let namespace = renamed("Namespace", "other")?;
    ensure!(
        namespace["metadata"]["labels"]["app.kubernetes.io/part-of"] == "daxfit",
        "{namespace}"
    );
    let policy = renamed("ValidatingAdmissionPolicy", "team-daxfit-node-driver")?;
    ensure!(
        policy["spec"].get("matchConditions").is_none(),
        "some writers are not asked: {policy}"
    );
    Ok(())
}

/// Whether `kubectl auth can-i` says yes.
async fn can(kubectl: &Kubectl, question: &[&str]) -> Result<bool> {
    match kubectl.run(&[&["auth", "can-i"], question].concat()).await {
        Ok(_) => Ok(true),
        // It ends with 1 for a no, and for whatever it could not ask.
        Err(error)
            if error
                .to_string()
                .lines()
                .any(|line| line == "no" || line.starts_with("no - ")) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Waits until the API server knows of a new rule.
async fn becomes_allowed(kubectl: &Kubectl, question: &[&str]) -> Result<()> {
    until(&format!("{question:?} is allowed"), HANG_LIMIT, async || {
        match can(kubectl, question).await {
            Ok(true) => Probe::Ready(()),
            Ok(false) => Probe::NotYet(anyhow!("it is not")),
            Err(error) => Probe::Never(error),
        }
    })
    .await
}

async fn try_patch(kubectl: &Kubectl, object: &[&str], who: &[&str]) -> Result<String> {
    let patch = ["--type=merge", "-p", PATCH, "--dry-run=server"];
    kubectl.run(&[&["patch"], object, &patch, who].concat()).await
}

/// It is an error if something succeeded, or failed with other words.
fn is_refused(who: &str, tried: Result<String>, words: &str) -> Result<()> {
    let refusal = tried.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refusal.contains(words), "{who} is not refused: {refusal:?}");
    Ok(())
}

/// A volume on a node that does not exist, so that no driver takes it up.
fn volume() -> Value {
    json!({
        "apiVersion": "daxfit.dev/v1alpha1",
        "kind": "PmemVolume",
        "metadata": { "name": NAME },
        "spec": { "node": "nowhere", "required": 1, "mode": "fsdax" },
    })
}

fn role(verbs: &[&str]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": { "name": NAME },
        "rules": [{ "apiGroups": ["daxfit.dev"], "resources": ["pmemnodes", "pmemvolumes"], "verbs": verbs }],
    })
}

fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": NAME },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAME },
        "subjects": [{ "kind": "User", "name": STRANGER }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_line_for_each_credential() {
        let lines = tried_lines(include_str!("../../../docs/security.md")).unwrap();
        assert_eq!(lines.len(), 5);
        assert!(
            lines
                .iter()
                .all(|line| !line.may.is_empty() && !line.may_not.is_empty())
        );
        let read = tried_line("| `a` | `get b`, `get c -A` | `get d` |").unwrap();
        let expected = Line {
            who: "a",
            may: vec!["get b", "get c -A"],
            may_not: vec!["get d"],
        };
        assert_eq!(read, expected);
    }
}
