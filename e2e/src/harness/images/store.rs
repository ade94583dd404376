//! buildah with a store of its own, which lives as long as the images take to make.

use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::command::run;

/// buildah's store: without a daemon, without overlay mounts, apart from any other store on the machine.
#[derive(Debug)]
pub(super) struct Store(TempDir);

impl Store {
    /// An empty store below `folder`.
    pub(super) fn below(folder: &Path) -> Result<Self> {
        let store = tempfile::Builder::new().prefix("store").tempdir_in(folder);
        Ok(Self(store.context("making a folder for buildah's store")?))
    }

    /// Makes an image of a tar archive.
    pub(super) async fn import(&self, archive: &Path, image: &str) -> Result<()> {
        run(self.buildah(&["from", "--name", "import", "scratch"])).await?;
        let mut add = self.buildah(&["add", "--quiet", "import"]);
        add.arg(archive).arg("/");
        run(add).await?;
        run(self.buildah(&["commit", "--quiet", "--rm", "import", image])).await
    }

    /// Builds an image from a Containerfile, without asking any registry.
    pub(super) async fn build(&self, containerfile: &Path, context: &Path, base: &str, image: &str) -> Result<()> {
        let base = format!("BASE={base}");
        let mut build = self.buildah(&[
            "build",
            "--isolation=chroot",
            "--pull-never",
            "--build-arg",
            &base,
            "--tag",
            image,
        ]);
        build.arg("--file").arg(containerfile).arg(context);
        run(build).await
    }

    /// Writes an image to an archive whose layers are not compressed: unpacking is slow in an emulated machine.
    pub(super) async fn save(&self, image: &str, archive: &Path) -> Result<()> {
        let target = format!("docker-archive:{}:{image}", archive.display());
        run(self.buildah(&["push", "--quiet", image, &target])).await
    }

    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        let folder = self.0.path();
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(folder.join("root"));
        command.arg("--runroot").arg(folder.join("run")).args(arguments);
        command
    }
}
