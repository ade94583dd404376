//! Images as containerd keeps them once it has imported and unpacked them.
//!
//! Under software emulation that takes a machine two minutes, and the host some seconds: so containerd does it here, and
//! machines start with what it made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use placement::Bytes;

use super::Image;
use crate::cache::{Key, cached};
use crate::cluster::cell::{Cell, Inside};
use crate::cluster::launch::Daemon;
use crate::cluster::node::CONTAINERD_SOCKET;
use crate::cluster::wait::{Probe, until};
use crate::command::run;
use crate::guest::pack;
use crate::progress::step;
use crate::tools::{Tool, Tools};

/// For what the machine's containers write; the file is sparse.
const ROOM: Bytes = Bytes::gib(2);
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// A disk for containerd's root folder, with `images` in it; cached.
///
/// # Errors
/// containerd does not run here, or refuses an image.
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
    // Its `/run` is its own, so the socket is in nobody's way.
    let cell = Cell::create().await?;
    let mut command = cell.command(Inside::All, tools.path(Tool::Containerd));
    command.arg("--config").arg(&config);
    let mut containerd = Daemon::spawn_entering("containerd", command, &scratch.path().join("containerd.log"))?;
    until("containerd to answer", ANSWERS_WITHIN, async || {
        match containerd.check() {
            Err(error) => Probe::Never(error),
            Ok(()) => run(ctr(&cell, tools, &["version"]).into()).await.into(),
        }
    })
    .await?;
    for image in images {
        let mut import = ctr(&cell, tools, &["--namespace", "k8s.io", "images", "import"]);
        import.arg(&image.archive);
        run(import.into()).await?;
    }
    // All that it was told is written: each import ends with a commit to its database.
    containerd.kill()
}

fn ctr(cell: &Cell, tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = cell.command(Inside::All, tools.path(Tool::Ctr));
    command.args(["--address", CONTAINERD_SOCKET]).args(arguments);
    command
}

/// Images only: nothing of what runs pods.
fn configuration(root: &Path) -> String {
    format!(
        r#"version = 3
root = "{}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
"#,
        root.display()
    )
}
