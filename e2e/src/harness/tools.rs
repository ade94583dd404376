//! Kubernetes and containerd, built from their published modules.
//!
//! Each Go module below `e2e/tools` pins its versions in go.mod and go.sum. What it makes is cached by these two files and
//! the flags; Go's own cache makes even a changed pin quick.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::harness::cache::{Key, cached};
use crate::harness::command::run;
use crate::harness::go;
use crate::harness::progress::step;

/// Without these, `kubectl version` and the API server's `/version` report v0.0.0, and clients that compare versions fail.
const KUBERNETES_LDFLAGS: &str = "-s -w \
    -X k8s.io/component-base/version.gitVersion=v1.36.3 \
    -X k8s.io/component-base/version.gitMajor=1 \
    -X k8s.io/component-base/version.gitMinor=36";
/// Leaves out snapshotters that are not used here and need headers of other projects.
const CONTAINERD_TAGS: &str = "no_btrfs,no_zfs,no_devmapper";

/// A Go module below `e2e/tools` and the programs it makes.
#[derive(Debug)]
struct Module {
    name: &'static str,
    tags: &'static str,
    ldflags: &'static str,
    /// The name to give the program, and its package.
    programs: &'static [(&'static str, &'static str)],
}

const KUBERNETES: Module = Module {
    name: "kubernetes",
    tags: "",
    ldflags: KUBERNETES_LDFLAGS,
    programs: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
        ),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        (
            "csi-provisioner",
            "github.com/kubernetes-csi/external-provisioner/v6/cmd/csi-provisioner",
        ),
    ],
};

const CONTAINERD: Module = Module {
    name: "containerd",
    tags: CONTAINERD_TAGS,
    ldflags: "-s -w",
    programs: &[
        ("containerd", "github.com/containerd/containerd/v2/cmd/containerd"),
        (
            "containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
        ),
        ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
    ],
};

/// A module of its own: it needs a CSI specification in which the kubelet no longer compiles.
const CSI_SANITY: Module = Module {
    name: "csi-sanity",
    tags: "",
    ldflags: "-s -w",
    programs: &[("csi-sanity", "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity")],
};

/// A program that [`Tools`] has; each is static and runs on the host and in the guest alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubelet,
    Kubectl,
    /// The external-provisioner, which turns claims into CSI calls.
    CsiProvisioner,
    /// The conformance tests of CSI drivers.
    CsiSanity,
    /// It finds its shim, which is in the same folder, through PATH.
    Containerd,
    /// containerd's command line client.
    Ctr,
}

/// The programs that the harness did not write.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    kubernetes: PathBuf,
    containerd: PathBuf,
    csi_sanity: PathBuf,
}

impl Tools {
    /// All of them, built now unless cached: the first time takes the Internet and some 15 minutes of two cores.
    pub(crate) async fn ready() -> Result<Self> {
        Ok(Self {
            kubernetes: KUBERNETES.ready().await?,
            containerd: CONTAINERD.ready().await?,
            csi_sanity: CSI_SANITY.ready().await?,
        })
    }

    pub(crate) fn path(&self, tool: Tool) -> PathBuf {
        match tool {
            Tool::Etcd => self.kubernetes.join("etcd"),
            Tool::KubeApiserver => self.kubernetes.join("kube-apiserver"),
            Tool::KubeControllerManager => self.kubernetes.join("kube-controller-manager"),
            Tool::KubeScheduler => self.kubernetes.join("kube-scheduler"),
            Tool::Kubelet => self.kubernetes.join("kubelet"),
            Tool::Kubectl => self.kubernetes.join("kubectl"),
            Tool::CsiProvisioner => self.kubernetes.join("csi-provisioner"),
            Tool::CsiSanity => self.csi_sanity.join("csi-sanity"),
            Tool::Containerd => self.containerd.join("containerd"),
            Tool::Ctr => self.containerd.join("ctr"),
        }
    }

    /// The folder with containerd, its runc shim and ctr, to be put first in PATH.
    pub(crate) fn containerd_folder(&self) -> &Path {
        &self.containerd
    }
}

impl Module {
    async fn ready(&self) -> Result<PathBuf> {
        cached(self.name, &self.key()?, async |folder| self.build(folder).await).await
    }

    fn sources(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(self.name)
    }

    fn key(&self) -> Result<Key> {
        let read = |file: &str| {
            let path = self.sources().join(file);
            std::fs::read(&path).with_context(|| format!("reading {}", path.display()))
        };
        let key = Key::new()
            .with(read("go.mod")?)
            .with(read("go.sum")?)
            .with(self.tags)
            .with(self.ldflags);
        Ok(self
            .programs
            .iter()
            .fold(key, |key, (name, package)| key.with(name).with(package)))
    }

    async fn build(&self, folder: &Path) -> Result<()> {
        let go = go::toolchain().await?;
        for (name, package) in self.programs {
            let command = self.command(&go, &folder.join(name), package);
            step(&format!("building {name}"), run(command)).await?;
        }
        Ok(())
    }

    fn command(&self, go: &Path, output: &Path, package: &str) -> Command {
        let mut command = Command::new(go);
        command
            .current_dir(self.sources())
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "-mod=readonly");
        command.args(["build", "-trimpath"]);
        if !self.tags.is_empty() {
            command.args(["-tags", self.tags]);
        }
        command.args(["-ldflags", self.ldflags, "-o"]).arg(output).arg(package);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_a_pinned_tool_of_its_module() {
        for module in [KUBERNETES, CONTAINERD, CSI_SANITY] {
            let pins = std::fs::read_to_string(module.sources().join("go.mod")).unwrap();
            for (_, package) in module.programs {
                assert!(pins.contains(package), "{package} is not in {}", module.name);
            }
        }
    }

    #[test]
    fn the_version_that_programs_report_is_the_one_they_are_built_from() {
        let pins = std::fs::read_to_string(KUBERNETES.sources().join("go.mod")).unwrap();
        assert!(pins.contains("k8s.io/kubernetes v1.36.3 "));
        assert!(KUBERNETES_LDFLAGS.contains("gitVersion=v1.36.3"));
    }
}
