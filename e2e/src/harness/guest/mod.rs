//! The root image of the virtual machines, with its kernel.
//!
//! It is the host's Debian release, so that programs built on the host run in the guest: no program of ours or of
//! Kubernetes is in it. Those come on further disks, which are quick to make ([`pack`]).

mod debian;
mod disk;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::harness::cache::{Key, cached};
use crate::harness::packages::is_root;
use crate::harness::progress::step;

pub(crate) use debian::suite;
pub(crate) use disk::pack;

/// Files of ours in the image: its path, its mode, its content.
const FILES: [(&str, u32, &str); 8] = [
    ("usr/lib/daxfit/init", 0o755, include_str!("files/init")),
    ("usr/lib/daxfit/agent", 0o755, include_str!("files/agent")),
    ("usr/lib/daxfit/mount-disks", 0o755, include_str!("files/mount-disks")),
    (
        "etc/systemd/system/daxfit-disks.service",
        0o644,
        include_str!("files/daxfit-disks.service"),
    ),
    (
        "etc/systemd/system/daxfit-agent.service",
        0o644,
        include_str!("files/daxfit-agent.service"),
    ),
    (
        "etc/systemd/system/daxfit-node.service",
        0o644,
        include_str!("files/daxfit-node.service"),
    ),
    (
        "etc/systemd/system/containerd.service",
        0o644,
        include_str!("files/containerd.service"),
    ),
    (
        "etc/systemd/system/kubelet.service",
        0o644,
        include_str!("files/kubelet.service"),
    ),
];

/// Units of ours that systemd starts in the node profile.
const ENABLED: [&str; 5] = [
    "daxfit-disks.service",
    "daxfit-agent.service",
    "daxfit-node.service",
    "containerd.service",
    "kubelet.service",
];

/// Room for the images and logs of a node; the file is sparse.
const ROOT_SIZE: placement::Bytes = placement::Bytes::gib(6);

/// The root image of the virtual machines, with its kernel.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    folder: PathBuf,
    key: Key,
}

impl Guest {
    /// The image, built now unless cached: some minutes the first time.
    /// Needs root (device nodes and owners are made) and the Internet.
    pub(crate) async fn ready() -> Result<Self> {
        let suite = debian::suite()?;
        let key = FILES.iter().fold(debian::inputs(&suite), |key, (path, mode, content)| {
            key.with(path).with(mode.to_le_bytes()).with(content)
        });
        let folder = cached("guest", &key, async |folder| {
            step("building the guest", build(&suite, folder)).await
        })
        .await?;
        Ok(Self { folder, key })
    }

    /// What the image was built from.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// A raw ext4 image. Machines must not write to it.
    pub(crate) fn root_image(&self) -> PathBuf {
        self.folder.join("root.img")
    }

    /// The kernel.
    pub(crate) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// Its initial RAM disk.
    pub(crate) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd.img")
    }
}

async fn build(suite: &str, folder: &Path) -> Result<()> {
    ensure!(is_root()?, "building the guest needs root: run the command as root");
    let root = folder.join("root");
    debian::install(suite, &root).await?;
    for (path, mode, content) in FILES {
        debian::write(&root.join(path), mode, content)?;
    }
    for unit in ENABLED {
        debian::enable(&root, unit)?;
    }
    debian::take_kernel(&root, folder)?;
    disk::format(&root, &folder.join("root.img"), ROOT_SIZE).await?;
    std::fs::remove_dir_all(&root).context("removing the unpacked guest")
}
