//! Things that take minutes to build, kept by what they were built from.
//!
//! The folder is outside the checkout, so a fresh clone on the same machine builds none of them again. An entry is
//! complete or not there: it is built beside its place and renamed. It is safe to delete the folder when no harness runs.

use std::env;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What an entry is made of: equal keys mean equal contents.
#[derive(Clone, Debug, Default)]
pub(crate) struct Key(Sha256);

impl Key {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// With one more input. Inputs are kept apart: `"ab", "c"` and `"a", "bc"` differ.
    pub(crate) fn with(mut self, input: impl AsRef<[u8]>) -> Self {
        let input = input.as_ref();
        self.0.update(input.len().to_le_bytes());
        self.0.update(input);
        self
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `$DAXFIT_CACHE`, else `$XDG_CACHE_HOME/daxfit`, else `~/.cache/daxfit`; created when missing.
/// It is an error if none of these variables holds an absolute path.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = chosen(|name| env::var_os(name).map(PathBuf::from))
        .context("no folder for the cache: set DAXFIT_CACHE or HOME")?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn chosen(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("DAXFIT_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("daxfit")))
        .or_else(|| Some(variable("HOME")?.join(".cache/daxfit")))
        .filter(|folder| folder.is_absolute())
}

/// The folder with what `build` makes from the inputs in `key`; built now unless it is there already. Nothing is kept of a
/// build that fails.
///
/// `build` writes into the folder it is given. Two runs that want the same entry build it once: the second waits.
pub(crate) async fn cached(name: &str, key: &Key, build: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    cached_in(&folder()?, name, key, build).await
}

async fn cached_in(
    cache: &Path,
    name: &str,
    key: &Key,
    build: impl AsyncFnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let entry = cache.join(format!("{name}-{key}"));
    let _lock = locked(cache.join(format!("{name}-{key}.lock"))).await?;
    if entry.is_dir() {
        return Ok(entry);
    }
    let unfinished = cache.join(format!("{name}-{key}.unfinished"));
    start_empty(&unfinished)?;
    build(&unfinished).await.with_context(|| format!("building {name}"))?;
    fs::rename(&unfinished, &entry).with_context(|| format!("completing {}", entry.display()))?;
    Ok(entry)
}

/// Removes what an interrupted build left behind.
fn start_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir(folder).with_context(|| format!("creating {}", folder.display()))
}

/// A lock that the kernel lets go when the harness ends, however it ends.
async fn locked(path: PathBuf) -> Result<File> {
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("  waiting for another run that holds {}", path.display()),
        Err(TryLockError::Error(error)) => return Err(error).context("locking the cache"),
    }
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .with_context(|| format!("locking {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    use anyhow::bail;

    #[tokio::test]
    async fn an_entry_is_built_once() {
        let cache = tempfile::tempdir().unwrap();
        let key = Key::new().with("inputs");
        let first = cached_in(cache.path(), "thing", &key, async |folder| {
            Ok(fs::write(folder.join("x"), "made")?)
        })
        .await
        .unwrap();

        let second = cached_in(cache.path(), "thing", &key, async |_| bail!("built again"))
            .await
            .unwrap();

        assert_eq!(first, second);
        assert_eq!(fs::read_to_string(second.join("x")).unwrap(), "made");
    }

    #[tokio::test]
    async fn a_failed_build_leaves_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let key = Key::new();
        let failing = async |folder: &Path| {
            fs::write(folder.join("half"), "")?;
            bail!("no space")
        };
        cached_in(cache.path(), "thing", &key, failing).await.unwrap_err();

        let entry = cached_in(cache.path(), "thing", &key, async |_| Ok(())).await.unwrap();

        assert!(!entry.join("half").exists());
    }

    #[tokio::test]
    async fn two_runs_build_once() {
        let cache = tempfile::tempdir().unwrap();
        let key = Key::new();
        let slow = async |folder: &Path| {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            Ok(fs::create_dir(folder.join("by-first"))?)
        };
        let (first, second) = tokio::join!(
            cached_in(cache.path(), "thing", &key, slow),
            cached_in(cache.path(), "thing", &key, async |_| bail!("built by both")),
        );
        assert_eq!(first.unwrap(), second.unwrap());
    }

    #[test]
    fn inputs_are_kept_apart() {
        let together = Key::new().with("ab").with("c").to_string();
        assert_ne!(together, Key::new().with("a").with("bc").to_string());
        assert_eq!(together.len(), 16);
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let only = |names: &'static [&str]| move |name: &str| names.contains(&name).then(|| PathBuf::from("/there"));
        let expected = |path: &str| Some(PathBuf::from(path));
        assert_eq!(chosen(only(&["HOME", "DAXFIT_CACHE"])), expected("/there"));
        assert_eq!(chosen(only(&["HOME", "XDG_CACHE_HOME"])), expected("/there/daxfit"));
        assert_eq!(chosen(only(&["HOME"])), expected("/there/.cache/daxfit"));
        assert_eq!(chosen(only(&[])), None);
    }
}
