//! The folder of one run, and the removal of what crashed runs left behind.
//!
//! Processes, mounts and network interfaces live in a sandbox and vanish with it. What can stay
//! behind is this folder, loop devices over its files, and the cgroups of the native node.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const OWNER: &str = "owner";
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// The folder of one run; removed with its cgroups when dropped.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    id: String,
    /// Locked as long as the run lives: the kernel lets the lock go when the harness ends, however it ends.
    _owner: File,
}

impl RunDir {
    /// Makes a folder for this run below `runs` after removing those of runs whose harness is gone.
    pub(crate) fn create(runs: &Path) -> Result<Self> {
        fs::create_dir_all(runs).with_context(|| format!("creating {}", runs.display()))?;
        let gate = File::create(runs.join("gate")).context("creating the gate file")?;
        gate.lock().context("waiting for another harness to start")?;
        sweep(runs)?;
        let id = free_id(runs)?;
        let path = runs.join(&id);
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        let owner = File::create(path.join(OWNER))?;
        owner.lock()?;
        Ok(Self {
            path,
            id,
            _owner: owner,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The cgroup below which the native node keeps its containers, as the kubelet's `--cgroup-root` wants it.
    pub(crate) fn cgroup(&self) -> String {
        cgroup_of(&self.id)
    }

    /// A folder below this one, created with its parents.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path, &self.id) {
            tracing::warn!("{error:#}");
        }
    }
}

/// A number is enough: at most a few runs live at once, and the gate is held.
fn free_id(runs: &Path) -> Result<String> {
    let id = (1..100).map(|n| format!("run{n}")).find(|id| !runs.join(id).exists());
    id.with_context(|| format!("{} holds 99 live runs; stop some", runs.display()))
}

fn cgroup_of(id: &str) -> String {
    format!("/daxfit-{id}")
}

fn sweep(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs).with_context(|| format!("reading {}", runs.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && is_ownerless(&entry.path())? {
            tracing::info!("removing what a crashed run left in {}", entry.path().display());
            remove(&entry.path(), &entry.file_name().to_string_lossy())?;
        }
    }
    Ok(())
}

fn is_ownerless(run: &Path) -> Result<bool> {
    let Ok(owner) = File::open(run.join(OWNER)) else {
        return Ok(true);
    };
    match owner.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("checking {}", run.display())),
    }
}

fn remove(run: &Path, id: &str) -> Result<()> {
    detach_loops(run)?;
    remove_cgroups(&cgroup_of(id))?;
    fs::remove_dir_all(run).with_context(|| format!("removing {}", run.display()))
}

/// Detaches the loop devices whose backing file is below `run`.
fn detach_loops(run: &Path) -> Result<()> {
    for entry in fs::read_dir("/sys/block").context("reading /sys/block")? {
        let entry = entry?;
        let Ok(backing) = fs::read_to_string(entry.path().join("loop/backing_file")) else {
            continue;
        };
        if Path::new(backing.trim_end()).starts_with(run) {
            let device = Path::new("/dev").join(entry.file_name());
            let status = Command::new("losetup").arg("-d").arg(&device).status()?;
            ensure!(status.success(), "losetup -d {} failed: {status}", device.display());
        }
    }
    Ok(())
}

/// Removes a cgroup in every hierarchy (cgroup v1) and in the unified one (v2).
fn remove_cgroups(name: &str) -> Result<()> {
    let relative = name.trim_start_matches('/');
    let root = Path::new(CGROUP_ROOT);
    remove_cgroup_tree(&root.join(relative))?;
    for entry in fs::read_dir(root).with_context(|| format!("reading {CGROUP_ROOT}"))? {
        remove_cgroup_tree(&entry?.path().join(relative))?;
    }
    Ok(())
}

/// A cgroup is removed with rmdir, children first; its files are not real.
fn remove_cgroup_tree(group: &Path) -> Result<()> {
    if !group.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_cgroup_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group).with_context(|| format!("removing the cgroup {}", group.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_runs_stay_and_dead_ones_go() {
        let runs = tempfile::tempdir().unwrap();
        let live = RunDir::create(runs.path()).unwrap();
        fs::create_dir_all(runs.path().join("run7/left/behind")).unwrap();

        let second = RunDir::create(runs.path()).unwrap();

        assert!(live.path().exists());
        assert_ne!(live.id, second.id);
        assert!(!runs.path().join("run7").exists());
    }

    #[test]
    fn a_run_removes_its_folder() {
        let runs = tempfile::tempdir().unwrap();
        let run = RunDir::create(runs.path()).unwrap();
        let path = run.folder("a/b").unwrap();
        assert!(path.is_dir());
        drop(run);
        assert!(!path.exists());
    }
}
