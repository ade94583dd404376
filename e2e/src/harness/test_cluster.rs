//! The cluster with Daxfit installed, as the demo and the scenarios find it and have to leave it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::capacity::{self, Capacity};
use super::cluster::Cluster;
use super::kubectl::{Kubectl, SYSTEM_NAMESPACE};
use super::namespaces::{Namespace, is_of, labelled};
use super::workload::{self, Claim};

/// A cluster with Daxfit installed and no volume.
#[derive(Debug)]
pub(crate) struct TestCluster {
    pub(crate) kubectl: Kubectl,
    /// What is published while there is no volume.
    pub(crate) empty: Capacity,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    /// Started by the harness, which can reach into the machines.
    Started(Box<Cluster>),
    /// Somebody else's: only its API can be reached.
    Existing,
}

impl TestCluster {
    /// Installs Daxfit as a user does, and waits until its capacity is published. If something does not come up, the logs are
    /// kept.
    pub(crate) async fn install(cluster: Cluster) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let installed = async {
            cluster.install().await?;
            let full = |capacity: &Capacity| capacity.len() == 6 && capacity.values().all(|size| !size.is_zero());
            capacity::becomes(&kubectl, "capacity of two NUMA nodes and three classes", full).await
        };
        match installed.await {
            Ok(empty) => Ok(Self {
                kubectl,
                empty,
                origin: Origin::Started(Box::new(cluster)),
            }),
            Err(error) => {
                cluster.keep_logs("install").await;
                Err(error)
            }
        }
    }

    /// Takes an existing cluster with Daxfit installed as it is. It has to publish capacity.
    pub(crate) async fn existing(kubeconfig: &Path) -> Result<Self> {
        let kubectl = Kubectl::new("kubectl".into(), kubeconfig.to_owned());
        let empty = capacity::published(&kubectl).await?;
        ensure!(
            !empty.is_empty(),
            "the cluster publishes no capacity of Daxfit: install it and label a node first"
        );
        Ok(Self {
            kubectl,
            empty,
            origin: Origin::Existing,
        })
    }

    /// The cluster, if the harness started it.
    pub(crate) fn started(&mut self) -> Result<&mut Cluster> {
        match &mut self.origin {
            Origin::Started(cluster) => Ok(cluster),
            Origin::Existing => bail!("only the API of this cluster can be reached"),
        }
    }

    /// The name of a node with persistent memory.
    pub(crate) fn node(&self) -> Result<String> {
        let first = self.empty.keys().next().context("no node has persistent memory")?;
        Ok(first.0.clone())
    }

    /// The image that pods run: a busybox.
    pub(crate) fn image(&self) -> &str {
        match &self.origin {
            Origin::Started(_) => Cluster::WORKLOAD_IMAGE,
            Origin::Existing => "busybox",
        }
    }

    /// What a script prints on the node with persistent memory.
    pub(crate) async fn on_node(&self, script: &str) -> Result<String> {
        match &self.origin {
            Origin::Started(cluster) => cluster.on_node(script).await,
            Origin::Existing => bail!("only the API of this cluster can be reached"),
        }
    }

    /// Keeps what every part logged, where the harness can reach it.
    pub(crate) async fn keep_logs(&self, name: &str) {
        if let Origin::Started(cluster) = &self.origin {
            cluster.keep_logs(name).await;
        }
    }

    /// Prints how to reach a cluster that the harness started, and waits for Ctrl-C.
    pub(crate) async fn keep(&mut self) -> Result<()> {
        let kubeconfig = self.started()?.kubeconfig().display().to_string();
        println!(
            "\nThe cluster runs until Ctrl-C:\n  export KUBECONFIG={kubeconfig}\n  kubectl get pmemnodes,pmemvolumes"
        );
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    }

    /// What the extenders logged about a pod.
    pub(crate) async fn extender_log_about(&self, pod: &str) -> Result<String> {
        let select = ["-l", "app.kubernetes.io/name=daxfit-extender", "--tail=-1"];
        let logs = self
            .kubectl
            .run(&[&["logs", "-n", SYSTEM_NAMESPACE][..], &select].concat())
            .await?;
        let about: Vec<&str> = logs.lines().filter(|line| line.contains(pod)).collect();
        ensure!(!about.is_empty(), "the extender was not asked about {pod}");
        Ok(about.join("\n"))
    }

    /// What a command prints in a pod.
    pub(crate) async fn in_pod(&self, pod: &str, script: &str) -> Result<String> {
        self.kubectl.run(&["exec", pod, "--", "sh", "-c", script]).await
    }

    /// The namespaces of the cluster: as `ndctl` lists them on the node, or else as their drivers recorded them.
    pub(crate) async fn namespaces(&self) -> Result<Vec<Namespace>> {
        match &self.origin {
            Origin::Started(_) => labelled(&self.on_node("ndctl list -N").await?)?
                .into_iter()
                .map(Namespace::read)
                .collect(),
            Origin::Existing => self
                .kubectl
                .items(&["pmemvolumes"])
                .await?
                .iter()
                .map(Namespace::recorded)
                .collect(),
        }
    }

    /// The one namespace with the name of a volume. It is an error if there is none, or more than one.
    pub(crate) async fn namespace(&self, volume: &str) -> Result<Namespace> {
        let all = self.namespaces().await?;
        let mut named = all.iter().filter(|namespace| is_of(&namespace.name, volume));
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => bail!("no namespace is called {volume}: {all:?}"),
            (Some(_), Some(_)) => bail!("two namespaces are called {volume}: {all:?}"),
        }
    }

    /// A field of the namespace of a volume, as `ndctl list` shows it.
    pub(crate) async fn namespace_field(&self, volume: &str, field: &str) -> Result<Value> {
        let printed = self.on_node("ndctl list -N -v").await?;
        let all = labelled(&printed)?;
        let found = all
            .iter()
            .find(|namespace| namespace["name"].as_str().is_some_and(|name| is_of(name, volume)));
        let found = found.with_context(|| format!("no namespace is called {volume}: {printed}"))?;
        Ok(found[field].clone())
    }

    /// Makes claims and a pod that uses them, and waits until it runs.
    pub(crate) async fn start(&self, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
        self.submit(pod, claims).await?;
        workload::running(&self.kubectl, pod).await
    }

    /// Makes claims and a pod that uses them.
    pub(crate) async fn submit(&self, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
        let mut objects: Vec<Value> = claims.iter().map(Claim::object).collect();
        objects.push(workload::pod(pod, self.image(), claims));
        self.kubectl.apply(&objects).await
    }

    /// Deletes a pod and the claims it used, and waits until they are gone.
    pub(crate) async fn stop(&self, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
        self.kubectl.run(&["delete", "pod", pod, "--wait=false"]).await?;
        for claim in claims {
            self.kubectl.run(&["delete", "pvc", claim.name, "--wait=false"]).await?;
        }
        workload::gone(&self.kubectl, "pod", pod).await?;
        for claim in claims {
            workload::gone(&self.kubectl, "pvc", claim.name).await?;
        }
        Ok(())
    }

    /// Deletes whatever a failed scenario left, and waits until the capacity is what it was.
    pub(crate) async fn clean_up(&self) -> Result<()> {
        self.kubectl
            .run(&["delete", "pod,pvc", "--all", "--wait=true", "--timeout=15m"])
            .await?;
        self.kubectl
            .run(&["delete", "storageclass", "-l", workload::OF_A_TEST])
            .await?;
        self.is_as_before().await
    }

    /// Waits until no volume and no namespace is left, and all capacity is back to the byte.
    pub(crate) async fn is_as_before(&self) -> Result<()> {
        capacity::becomes(&self.kubectl, "capacity is back to the byte", |now| *now == self.empty).await?;
        workload::none_left(&self.kubectl, &["pmemvolumes"]).await?;
        workload::none_left(&self.kubectl, &["persistentvolumes"]).await?;
        let left = self.namespaces().await?;
        ensure!(left.is_empty(), "namespaces are left: {left:?}");
        Ok(())
    }
}
