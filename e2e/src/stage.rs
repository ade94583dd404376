//! The cluster with Daxfit installed, as the scenarios find it and have to leave it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use placement::{Alignment, Bytes, Extent, Region, RegionId};
use serde::Deserialize;
use serde_json::Value;

use crate::capacity::{self, Capacity};
use crate::cluster::Cluster;
use crate::kubectl::Kubectl;
use crate::workload::{self, Claim};

/// The cluster with Daxfit installed and no volume.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The cluster as an administrator works with it.
    pub(crate) kubectl: Kubectl,
    /// What is published while there is no volume.
    pub(crate) empty: Capacity,
    site: Site,
}

#[derive(Debug)]
enum Site {
    /// Started by the harness, which can reach into the machines.
    Own(Box<Cluster>),
    /// Somebody else's: only its API can be reached.
    Existing,
}

/// A namespace as `ndctl list -N` shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Namespace {
    /// The name in its label.
    #[serde(default)]
    pub(crate) name: String,
    /// fsdax, sector, raw …
    pub(crate) mode: String,
    /// Usable bytes.
    pub(crate) size: i64,
    /// The block device.
    #[serde(default)]
    pub(crate) blockdev: String,
    /// As it was printed.
    #[serde(skip)]
    pub(crate) shown: String,
}

impl Namespace {
    fn recorded(volume: &Value) -> Result<Self> {
        let text = |pointer: &str| {
            volume
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Ok(Self {
            name: text("/metadata/name"),
            mode: text("/spec/mode"),
            size: workload::bytes_at(volume, "/status/usable")?.get(),
            blockdev: String::new(),
            shown: serde_json::to_string_pretty(&volume["status"])?,
        })
    }

    fn read(printed: Value) -> Result<Self> {
        let shown = serde_json::to_string_pretty(&printed)?;
        let namespace: Self = serde_json::from_value(printed).context("ndctl list prints something else")?;
        Ok(Self { shown, ..namespace })
    }
}

/// One namespace is printed as an object, several as a list, none as nothing. Those without a label are whole regions that
/// nobody divided, and nothing that Daxfit made.
fn namespaces_listed(printed: &str) -> Result<Vec<Namespace>> {
    if printed.trim().is_empty() {
        return Ok(Vec::new());
    }
    let printed: Value = serde_json::from_str(printed).context("ndctl list prints no JSON")?;
    let list = if let Value::Array(list) = printed {
        list
    } else {
        vec![printed]
    };
    let labelled = list.into_iter().filter(|namespace| namespace["uuid"].is_string());
    labelled.map(Namespace::read).collect()
}

/// A region of the harness's machines, with nothing in it.
pub(crate) fn empty_region() -> Result<Region> {
    Ok(Region {
        id: RegionId("empty".into()),
        numa: None,
        alignment: Alignment::try_from(Bytes::mib(2))?,
        free: vec![Extent::new(Bytes::ZERO, Bytes::mib(512))],
    })
}

impl Stage {
    /// Installs Daxfit as a user does, and waits until its capacity is published.
    ///
    /// # Errors
    /// Something does not come up; the logs have been collected then.
    pub(crate) async fn set(cluster: Cluster) -> Result<Self> {
        let kubectl = cluster.kubectl();
        let ready = async {
            cluster.install().await?;
            let full = |capacity: &Capacity| capacity.len() == 6 && capacity.values().all(|size| !size.is_zero());
            capacity::becomes(&kubectl, "capacity of two NUMA nodes and three classes", full).await
        };
        match ready.await {
            Ok(empty) => Ok(Self {
                kubectl,
                empty,
                site: Site::Own(Box::new(cluster)),
            }),
            Err(error) => {
                cluster.collect_logs("install").await?;
                Err(error)
            }
        }
    }

    /// Takes an existing cluster with Daxfit installed as it is.
    ///
    /// # Errors
    /// It publishes no capacity.
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
            site: Site::Existing,
        })
    }

    /// The cluster that the harness started.
    ///
    /// # Errors
    /// It is somebody else's.
    pub(crate) fn cluster(&mut self) -> Result<&mut Cluster> {
        match &mut self.site {
            Site::Own(cluster) => Ok(cluster),
            Site::Existing => bail!("only the API of this cluster can be reached"),
        }
    }

    /// The name of a node with persistent memory.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn node(&self) -> Result<String> {
        let first = self.empty.keys().next().context("no node has persistent memory")?;
        Ok(first.0.clone())
    }

    /// The image that pods run: a busybox.
    pub(crate) fn image(&self) -> &str {
        match &self.site {
            Site::Own(cluster) => cluster.workload_image(),
            Site::Existing => "busybox",
        }
    }

    /// What a script prints on the node with persistent memory.
    ///
    /// # Errors
    /// It fails there, or nobody can run one there.
    pub(crate) async fn on_node(&self, script: &str) -> Result<String> {
        match &self.site {
            Site::Own(cluster) => cluster.on_node(script).await,
            Site::Existing => bail!("only the API of this cluster can be reached"),
        }
    }

    /// Saves what every part logged, where the harness can reach it.
    ///
    /// # Errors
    /// It cannot be saved.
    pub(crate) async fn collect_logs(&self, name: &str) -> Result<()> {
        match &self.site {
            Site::Own(cluster) => cluster.collect_logs(name).await,
            Site::Existing => Ok(()),
        }
    }

    /// Says how to reach the cluster, and waits for Ctrl-C.
    ///
    /// # Errors
    /// It is somebody else's.
    pub(crate) async fn keep(&mut self) -> Result<()> {
        let kubeconfig = self.cluster()?.kubeconfig().display().to_string();
        println!(
            "\nThe cluster runs until Ctrl-C:\n  export KUBECONFIG={kubeconfig}\n  kubectl get pmemnodes,pmemvolumes"
        );
        tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
    }

    /// What the extenders logged about a pod.
    ///
    /// # Errors
    /// Their logs cannot be read.
    pub(crate) async fn extender_said_about(&self, pod: &str) -> Result<String> {
        let select = ["-l", "app.kubernetes.io/name=daxfit-extender", "--tail=-1"];
        let logs = self
            .kubectl
            .run(&[&["logs", "-n", "daxfit-system"][..], &select].concat())
            .await?;
        let about: Vec<&str> = logs.lines().filter(|line| line.contains(pod)).collect();
        ensure!(!about.is_empty(), "the extender was not asked about {pod}");
        Ok(about.join("\n"))
    }

    /// What a command prints in a pod.
    ///
    /// # Errors
    /// It fails there.
    pub(crate) async fn in_pod(&self, pod: &str, script: &str) -> Result<String> {
        self.kubectl.run(&["exec", pod, "--", "sh", "-c", script]).await
    }

    /// The namespaces of the cluster: as `ndctl` lists them on the node, or else as their drivers recorded them.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(crate) async fn namespaces(&self) -> Result<Vec<Namespace>> {
        match &self.site {
            Site::Own(_) => namespaces_listed(&self.on_node("ndctl list -N").await?),
            Site::Existing => self
                .kubectl
                .items(&["pmemvolumes"])
                .await?
                .iter()
                .map(Namespace::recorded)
                .collect(),
        }
    }

    /// The one namespace with the name of a volume.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub(crate) async fn namespace(&self, volume: &str) -> Result<Namespace> {
        let all = self.namespaces().await?;
        let mut named = all.iter().filter(|namespace| namespace.name == volume);
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => bail!("no namespace is called {volume}: {all:?}"),
            (Some(_), Some(_)) => bail!("two namespaces are called {volume}: {all:?}"),
        }
    }

    /// Makes claims and a pod that uses them, and waits until it runs.
    ///
    /// # Errors
    /// The API server refuses something, or the pod does not come to run.
    pub(crate) async fn start(&self, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
        self.submit(pod, claims).await?;
        workload::running(&self.kubectl, pod).await
    }

    /// Makes claims and a pod that uses them.
    ///
    /// # Errors
    /// The API server refuses something.
    pub(crate) async fn submit(&self, pod: &str, claims: &[Claim<'_>]) -> Result<()> {
        let mut objects: Vec<Value> = claims.iter().map(Claim::object).collect();
        objects.push(workload::pod(pod, self.image(), claims));
        self.kubectl.apply(&objects).await
    }

    /// Deletes a pod and the claims it used, and waits until they are gone.
    ///
    /// # Errors
    /// They do not go.
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
    ///
    /// # Errors
    /// Something does not go.
    pub(crate) async fn sweep(&self) -> Result<()> {
        self.kubectl
            .run(&["delete", "pod,pvc", "--all", "--wait=true", "--timeout=10m"])
            .await?;
        self.kubectl
            .run(&["delete", "storageclass", "-l", workload::OF_A_TEST])
            .await?;
        self.is_as_before().await
    }

    /// Waits until no volume and no namespace is left, and all capacity is back to the byte.
    ///
    /// # Errors
    /// Something stays.
    pub(crate) async fn is_as_before(&self) -> Result<()> {
        capacity::becomes(&self.kubectl, "capacity is back to the byte", |now| *now == self.empty).await?;
        workload::none_left(&self.kubectl, "pmemvolumes").await?;
        workload::none_left(&self.kubectl, "persistentvolumes").await?;
        let left = self.namespaces().await?;
        ensure!(left.is_empty(), "namespaces are left: {left:?}");
        Ok(())
    }
}
