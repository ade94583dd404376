//! A copy of the tree, in which defects are put back: the checkout itself is never touched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use super::patch::{Patch, checkout};
use crate::harness::cache;
use crate::harness::command::run;
use crate::harness::programs::{SIMULATION, build_quickly_in};

/// Where cargo puts what it builds, unless it is told.
const TARGET_DIR: &str = "CARGO_TARGET_DIR";

/// The copy. It stays, so that the next run builds only what changed.
pub(super) struct Tree {
    folder: PathBuf,
    /// The programs that were built.
    programs: PathBuf,
}

impl Tree {
    /// The copy, as the checkout is now.
    ///
    /// # Errors
    /// It cannot be written, or the checkout is none of git's.
    pub(super) fn open() -> Result<Self> {
        let place = cache::folder()?.join("put-back");
        let (folder, programs) = (place.join("tree"), place.join("programs"));
        for new in [&folder, &programs] {
            fs::create_dir_all(new).with_context(|| format!("creating {}", new.display()))?;
        }
        let tree = Self { folder, programs };
        tree.update()?;
        Ok(tree)
    }

    /// Brings the copy to where the checkout is. A file that is the same is not written: cargo goes by its time.
    ///
    /// # Errors
    /// As [`Tree::open`].
    pub(super) fn update(&self) -> Result<()> {
        let wanted = tracked()?;
        for file in &wanted {
            copy(&checkout().join(file), &self.folder.join(file))?;
        }
        remove_others(&self.folder, &self.folder, &wanted)
    }

    /// Puts a defect back.
    ///
    /// # Errors
    /// The patch does not apply.
    pub(super) async fn apply(&self, patch: &Patch) -> Result<()> {
        let mut command = tokio::process::Command::new("git");
        command.current_dir(&self.folder).arg("apply").arg(&patch.path);
        // Below a repository, git would look for the files there, and leave out what it does not find.
        if let Some(above) = self.folder.parent() {
            command.env("GIT_CEILING_DIRECTORIES", above);
        }
        run(command)
            .await
            .with_context(|| format!("putting {} back", patch.name))
    }

    /// Builds the simulation of the copy, and returns where it is. What both trees have of libraries is built once.
    ///
    /// # Errors
    /// It does not build.
    pub(super) async fn build(&self, name: &str) -> Result<PathBuf> {
        let target = env::var_os(TARGET_DIR).map_or_else(|| checkout().join("target"), PathBuf::from);
        let built = build_quickly_in(&self.folder, &target, SIMULATION, name).await?;
        // Cargo uses the place again, for whoever builds next.
        let program = self.programs.join(name.replace(' ', "-"));
        fs::copy(&built, &program).with_context(|| format!("copying {}", built.display()))?;
        Ok(program)
    }
}

/// The files of the checkout that git knows, or would add.
fn tracked() -> Result<BTreeSet<PathBuf>> {
    let mut command = Command::new("git");
    command
        .current_dir(checkout())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = command.output().context("starting git")?;
    if !listed.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    }
    let names = String::from_utf8(listed.stdout).context("a file name that is not UTF-8")?;
    let files = names.split_terminator('\0').map(PathBuf::from);
    let files: BTreeSet<PathBuf> = files.filter(|file| checkout().join(file).is_file()).collect();
    ensure!(!files.is_empty(), "git knows no file of {}", checkout().display());
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let wanted = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    if fs::read(to).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::write(to, wanted).with_context(|| format!("writing {}", to.display()))
}

/// What an earlier state of the checkout had.
fn remove_others(folder: &Path, root: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_others(&path, root, wanted)?;
        } else if !path.strip_prefix(root).is_ok_and(|file| wanted.contains(file)) {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_not_written_and_what_is_gone_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let (from, root) = (place.path().join("from"), place.path().join("tree"));
        fs::write(&from, "same").unwrap();
        let (same, gone) = (root.join("src/same"), root.join("src/gone"));
        copy(&from, &same).unwrap();
        copy(&from, &gone).unwrap();
        let written = fs::metadata(&same).unwrap().modified().unwrap();

        copy(&from, &same).unwrap();
        remove_others(&root, &root, &BTreeSet::from([PathBuf::from("src/same")])).unwrap();

        assert_eq!(fs::metadata(&same).unwrap().modified().unwrap(), written);
        assert!(!gone.exists());
    }
}
