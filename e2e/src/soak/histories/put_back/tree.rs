//! A copy of the tree, in which defects are put back: the checkout itself is never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use super::bodies::{Version, side_by_side};
use super::patch::{Patch, checkout};
use crate::harness::cache;
use crate::harness::command::run;
use crate::harness::programs::{SIMULATION, build_in};

/// Where cargo puts what it builds, unless it is told.
const TARGET_DIR: &str = "CARGO_TARGET_DIR";

/// The copy. It stays, so that the next run builds only what changed.
pub(super) struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// The copy, as the checkout is now.
    ///
    /// # Errors
    /// It cannot be written, or the checkout is none of git's.
    pub(super) fn open() -> Result<Self> {
        let folder = cache::folder()?.join("put-back/tree");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let tree = Self { folder };
        tree.update()?;
        Ok(tree)
    }

    /// Brings the copy to where the checkout is. A file that is the same is not written: cargo goes by its time.
    ///
    /// # Errors
    /// As [`Tree::open`].
    fn update(&self) -> Result<()> {
        let wanted = tracked()?;
        for file in &wanted {
            copy(&checkout().join(file), &self.folder.join(file))?;
        }
        remove_others(&self.folder, &self.folder, &wanted)
    }

    /// Puts these defects back, each behind its switch ([`side_by_side`]).
    ///
    /// # Errors
    /// A patch does not apply, or changes more than the bodies of functions.
    pub(super) async fn put_back(&self, patches: &[Patch]) -> Result<()> {
        let mut versions: BTreeMap<&Path, Vec<Version>> = BTreeMap::new();
        for patch in patches {
            self.apply(patch).await?;
            for file in &patch.changes {
                let (name, text) = (patch.name.clone(), read(&self.folder.join(file))?);
                versions.entry(file).or_default().push(Version { name, text });
                copy(&checkout().join(file), &self.folder.join(file))?;
            }
        }
        for (file, versions) in versions {
            let path = self.folder.join(file);
            let merged = side_by_side(&read(&path)?, &versions).with_context(|| file.display().to_string())?;
            fs::write(&path, merged).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    async fn apply(&self, patch: &Patch) -> Result<()> {
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
    pub(super) async fn build(&self) -> Result<PathBuf> {
        let target = env::var_os(TARGET_DIR).map_or_else(|| checkout().join("target"), PathBuf::from);
        let built = build_in(&self.folder, &target, SIMULATION).await?;
        // Cargo uses the place again, for whoever builds next.
        let program = self.folder.with_file_name(SIMULATION.name);
        fs::copy(&built, &program).with_context(|| format!("copying {}", built.display()))?;
        Ok(program)
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
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
