//! That no program has a right which it does not use: what the scenarios made it ask for, by the API server's audit log, against
//! what its roles grant.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use crate::harness::test_cluster::TestCluster;

/// What the scenarios do not always make a program ask for, and why it has the right all the same.
const NOT_ALWAYS_ASKED: &[(&str, &str, &str)] = &[
    // The API server itself asks for it, when it evaluates the admission policy.
    ("daxfit-operator", "write-any-node", "daxfit.dev/pmemvolumes"),
    // A claim whose node has no driver for two minutes is given back.
    ("daxfit-operator", "patch", "/persistentvolumeclaims"),
    // The same event again within a few minutes.
    ("daxfit-operator", "patch", "events.k8s.io/events"),
    // Only what the watches do not show yet is read.
    ("daxfit-extender", "get", "/persistentvolumeclaims"),
    ("daxfit-extender", "get", "daxfit.dev/pmemvolumes"),
    ("daxfit-extender", "get", "storage.k8s.io/storageclasses"),
    // A claim about which nothing was done for ten minutes.
    ("daxfit-extender", "create", "events.k8s.io/events"),
    ("daxfit-extender", "patch", "events.k8s.io/events"),
];

/// That a program may do something with a kind of object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    /// The service account.
    account: String,
    verb: String,
    /// The group, the resource, and the subresource if there is one: "daxfit.dev/pmemnodes/status".
    resource: String,
}

impl Right {
    fn new(account: &str, verb: &str, group: &str, resource: &str) -> Self {
        Self {
            account: account.into(),
            verb: verb.into(),
            resource: format!("{group}/{resource}"),
        }
    }

    fn need_not_be_asked(&self) -> bool {
        let asked = (&*self.account, &*self.verb, &*self.resource);
        NOT_ALWAYS_ASKED.contains(&asked)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} may {} {}", self.account, self.verb, self.resource)
    }
}

/// After all scenarios: each right that the manifests grant was used.
pub(super) async fn each_is_used(cluster: &mut TestCluster) -> Result<()> {
    let used = used(&cluster.started()?.audit_log().await?)?;
    let granted = granted(&cluster.kubectl).await?;
    ensure!(
        !used.is_empty() && !granted.is_empty(),
        "no right is granted, or none was used"
    );
    let unused = granted.difference(&used).filter(|right| !right.need_not_be_asked());
    let unused: Vec<String> = unused.map(Right::to_string).collect();
    ensure!(unused.is_empty(), "nobody used these rights: {}", unused.join("; "));
    println!("test rights::each_is_used ... ok");
    Ok(())
}

/// What the audit log shows.
fn used(log: &str) -> Result<BTreeSet<Right>> {
    let mut used = BTreeSet::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_str(line).context("reading the audit log")?;
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let account = account(text("/user/username"));
        let (Some(account), false) = (account, text("/objectRef/resource").is_empty()) else {
            continue;
        };
        let resource = match text("/objectRef/subresource") {
            "" => text("/objectRef/resource").to_owned(),
            subresource => format!("{}/{subresource}", text("/objectRef/resource")),
        };
        used.insert(Right::new(
            account,
            text("/verb"),
            text("/objectRef/apiGroup"),
            &resource,
        ));
    }
    Ok(used)
}

fn account(user: &str) -> Option<&str> {
    user.strip_prefix(&format!("system:serviceaccount:{SYSTEM_NAMESPACE}:"))
}

/// What the roles of our service accounts grant.
async fn granted(kubectl: &Kubectl) -> Result<BTreeSet<Right>> {
    let bindings = kubectl.items(&["get", "clusterrolebindings,rolebindings", "--all-namespaces"]);
    let roles = kubectl.items(&["get", "clusterroles,roles", "--all-namespaces"]);
    let (bindings, roles) = (bindings.await?, roles.await?);
    let mut granted = BTreeSet::new();
    for binding in &bindings {
        for account in bound_accounts(binding) {
            let mut of_binding = roles.iter().filter(|role| is_role_of(role, binding));
            let role = of_binding.next().with_context(|| format!("no role for {binding}"))?;
            granted.extend(rights(account, role));
        }
    }
    Ok(granted)
}

fn is_role_of(role: &Value, binding: &Value) -> bool {
    let named = &binding["roleRef"];
    let is_there = role["kind"] == "ClusterRole" || role["metadata"]["namespace"] == binding["metadata"]["namespace"];
    role["kind"] == named["kind"] && role["metadata"]["name"] == named["name"] && is_there
}

fn bound_accounts(binding: &Value) -> impl Iterator<Item = &str> {
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    let ours =
        subjects.filter(|subject| subject["kind"] == "ServiceAccount" && subject["namespace"] == SYSTEM_NAMESPACE);
    ours.filter_map(|subject| subject["name"].as_str())
}

fn rights(account: &str, role: &Value) -> Vec<Right> {
    let mut rights = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                rights.extend(texts(&rule["verbs"]).map(|verb| Right::new(account, verb, group, resource)));
            }
        }
    }
    rights
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_grants_each_verb_on_each_resource() {
        let role = json!({ "rules": [
            { "apiGroups": ["daxfit.dev"], "resources": ["pmemnodes", "pmemnodes/status"], "verbs": ["get", "patch"] },
        ]});
        let rights: Vec<String> = rights("a", &role).iter().map(Right::to_string).collect();
        assert_eq!(
            rights,
            [
                "a may get daxfit.dev/pmemnodes",
                "a may patch daxfit.dev/pmemnodes",
                "a may get daxfit.dev/pmemnodes/status",
                "a may patch daxfit.dev/pmemnodes/status",
            ]
        );
    }

    #[test]
    fn requests_of_our_programs_count() {
        let event = |user: &str, reference: Value| json!({ "user": { "username": user }, "verb": "patch", "objectRef": reference });
        let ours = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:daxfit-operator");
        let status = json!({ "apiGroup": "daxfit.dev", "resource": "pmemnodes", "subresource": "status", "name": "n" });
        let log = [
            event(&ours, status.clone()),
            event("system:admin", status),
            event(&ours, Value::Null),
        ];
        let log: Vec<String> = log.iter().map(Value::to_string).collect();
        let used = used(&log.join("\n")).unwrap();
        let expected = Right::new("daxfit-operator", "patch", "daxfit.dev", "pmemnodes/status");
        assert_eq!(used, BTreeSet::from([expected]));
    }
}
