//! Logs that outlive their run, to find the cause of a failure.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder of the workspace that has the logs of all runs.
const ALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/e2e-logs");

/// Makes the folder for the logs called `name`, lets `save` fill it, and prints where it is. What cannot be saved is only
/// printed: it must not hide the failure that the logs are for.
pub(crate) async fn keep(name: &str, save: impl AsyncFnOnce(&Path) -> Result<()>) {
    let kept = async {
        let folder = empty_folder(name)?;
        eprintln!("  logs are in {}", folder.display());
        save(&folder).await
    };
    if let Err(error) = kept.await {
        eprintln!("  not all logs of {name} could be saved: {error:#}");
    }
}

/// A file for a log of that name, empty now.
pub(crate) fn empty_file(name: &str) -> Result<PathBuf> {
    let file = all()?.join(name);
    fs::write(&file, "").with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

/// Copies the logs that processes on this machine write into `source`.
pub(crate) fn copy(source: &Path, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(source).with_context(|| format!("reading {}", source.display()))? {
        let path = entry?.path();
        if let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|end| end == "log"))
        {
            fs::copy(&path, folder.join(name)).with_context(|| format!("copying {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes what a command printed, or the error with which it failed.
pub(crate) fn save(file: &Path, printed: Result<String>) -> Result<()> {
    let text = printed.unwrap_or_else(|error| format!("{error:#}\n"));
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

fn empty_folder(name: &str) -> Result<PathBuf> {
    let folder = all()?.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn all() -> Result<PathBuf> {
    fs::create_dir_all(ALL).with_context(|| format!("creating {ALL}"))?;
    fs::canonicalize(ALL).with_context(|| format!("looking for {ALL}"))
}
