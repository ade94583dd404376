//! Images as containerd keeps them once it has imported and unpacked them.
//!
//! Under software emulation that takes a machine two minutes, and the host some seconds: so containerd does it here, and
//! machines start with what it made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use placement::Bytes;

use super::Image;
use crate::harness::cache::{Key, cached};
use crate::harness::containerd::{self, Containerd};
use crate::harness::guest::pack;
use crate::harness::progress::step;
use crate::harness::sandbox::Sandbox;
use crate::harness::tools::{Tool, Tools};

/// For what the machine's containers write; the file is sparse.
const ROOM: Bytes = Bytes::gib(2);

/// A disk for containerd's root folder, with `images` in it; cached.
pub(crate) async fn disk(images: &[&Image], tools: &Tools) -> Result<PathBuf> {
    let containerd = tools.path(Tool::Containerd);
    // Both paths have the keys of what was built.
    let key = images.iter().fold(
        Key::new().with(containerd.to_string_lossy().as_bytes()),
        |key, image| key.with(image.archive.to_string_lossy().as_bytes()),
    );
    let entry = cached("disk-containerd", &key, async |folder| {
        let root = folder.join("root");
        step("unpacking images", unpack(images, tools, &root)).await?;
        pack(&root, &folder.join("disk.img"), ROOM).await?;
        fs::remove_dir_all(&root).context("removing the content of a packed disk")
    });
    Ok(entry.await?.join("disk.img"))
}

/// Lets a containerd of its own import `images` below `root`.
async fn unpack(images: &[&Image], tools: &Tools, root: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("making a folder for containerd")?;
    let config = scratch.path().join("config.toml");
    fs::write(&config, configuration(root)).context("writing containerd's configuration")?;
    let sandbox = Arc::new(Sandbox::create().await?);
    let log = scratch.path().join("containerd.log");
    let archives = images.iter().map(|image| image.archive.as_path());
    Containerd::with_images(sandbox, tools, &config, &log, archives)
        .await?
        .stop()
}

/// Images only: nothing of what runs pods.
fn configuration(root: &Path) -> String {
    format!(
        r#"version = 3
root = "{}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{}"
"#,
        root.display(),
        containerd::SOCKET
    )
}
