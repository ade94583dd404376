//! Our own manifests, taken apart: all that is no pod is applied, and what the pods would run is started as processes.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::harness::cluster::install;
use crate::harness::kubectl::Kubectl;

/// The objects of `manifests/crds` and `manifests/base`.
#[derive(Debug)]
pub(super) struct Manifests(Vec<Value>);

/// Kinds that make pods.
const OF_PODS: [&str; 2] = ["Deployment", "DaemonSet"];

impl Manifests {
    /// As kustomize puts them together.
    pub(super) async fn read(kubectl: &Kubectl) -> Result<Self> {
        let mut objects = Vec::new();
        for folder in [install::kinds(), install::manifests().join("base")] {
            let printed = kubectl.run(&["kustomize", &folder.to_string_lossy()]).await?;
            objects.append(&mut Self::parse(&printed)?.0);
        }
        Ok(Self(objects))
    }

    fn parse(text: &str) -> Result<Self> {
        let objects = serde_saphyr::from_multiple(text).context("parsing what kubectl kustomize prints")?;
        Ok(Self(objects))
    }

    /// What runs without a kubelet.
    pub(super) fn without_pods(&self) -> Vec<Value> {
        let is_of_pods = |object: &&Value| !OF_PODS.iter().any(|kind| object["kind"] == *kind);
        self.0.iter().filter(is_of_pods).cloned().collect()
    }

    /// The arguments of a container.
    pub(super) fn arguments(&self, container: &str) -> Result<Vec<String>> {
        let pods = self
            .0
            .iter()
            .map(|object| &object["spec"]["template"]["spec"]["containers"]);
        let mut containers = pods.filter_map(Value::as_array).flatten();
        let found = containers.find(|found| found["name"] == container);
        let found = found.with_context(|| format!("the manifests have no container {container}"))?;
        Ok(serde_json::from_value(found["args"].clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_found_and_pods_left_out() {
        let operator = std::fs::read_to_string(install::manifests().join("base/operator.yaml")).unwrap();
        let manifests = Manifests::parse(&operator).unwrap();
        let arguments = manifests.arguments("provisioner").unwrap();
        assert!(arguments.iter().any(|argument| argument == "--strict-topology"));
        assert!(manifests.arguments("nobody").is_err());
        let rest = manifests.without_pods();
        assert!(rest.iter().any(|object| object["kind"] == "ClusterRole"));
        assert!(rest.iter().all(|object| object["kind"] != "Deployment"));
    }
}
