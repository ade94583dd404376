//! Room on the disk: what a run needs of it, and what can go from the cache to make some.
//!
//! A full disk shows itself late and as something else: QEMU dies when it touches a page of a DIMM's file that cannot get
//! a block, and stands still when its root disk cannot.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use placement::Bytes;

/// Entries of the cache are kept while this much is free.
const COMFORTABLE: Bytes = Bytes::gib(20);
/// Another run may still read what was used later than this.
const IN_USE: Duration = Duration::from_secs(24 * 60 * 60);

/// What the file system of a folder has left.
pub(crate) fn free(folder: &Path) -> Result<Bytes> {
    let of = rustix::fs::statvfs(folder).with_context(|| format!("asking how much room {} has", folder.display()))?;
    Bytes::try_from(of.f_bavail.saturating_mul(of.f_frsize)).context("a disk of more than 8 EiB")
}

/// Fails when less than `needed` is free where `folder` is, and says what to do.
pub(crate) fn ensure_free(folder: &Path, needed: Bytes) -> Result<()> {
    let free = free(folder)?;
    ensure!(
        free >= needed,
        "the disk of {} has {free} left and {needed} are needed: delete files there, or set DAXFIT_CACHE to a folder on another disk",
        folder.display()
    );
    Ok(())
}

/// Removes what was not used for longest from the cache, one entry after another, until 20 GiB are free.
/// What was used within a day stays.
pub(crate) fn make_room(cache: &Path) -> Result<()> {
    for entry in unused(cache, SystemTime::now())? {
        if free(cache)? >= COMFORTABLE {
            break;
        }
        tracing::info!(
            "removing {}, which was not used for a day, to make room",
            entry.display()
        );
        fs::remove_dir_all(&entry).with_context(|| format!("removing {}", entry.display()))?;
    }
    Ok(())
}

/// The entries that nobody used within a day, the oldest first: the time of use is that of the lock.
fn unused(cache: &Path, now: SystemTime) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(cache).with_context(|| format!("reading {}", cache.display()))? {
        let lock = file?.path();
        let entry = lock.with_extension("");
        if lock.extension().is_some_and(|extension| extension == "lock") && entry.is_dir() {
            let used = fs::metadata(&lock)?.modified()?;
            if now.duration_since(used).is_ok_and(|age| age > IN_USE) {
                entries.push((used, entry));
            }
        }
    }
    entries.sort();
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::File;

    fn entry(cache: &Path, name: &str, used: SystemTime) {
        fs::create_dir(cache.join(name)).unwrap();
        let lock = File::create(cache.join(format!("{name}.lock"))).unwrap();
        lock.set_modified(used).unwrap();
    }

    #[test]
    fn what_was_used_within_a_day_stays_and_the_oldest_goes_first() {
        let cache = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let days = |n: u64| now - Duration::from_secs(n * 25 * 60 * 60);
        entry(cache.path(), "guest-1", days(2));
        entry(cache.path(), "guest-2", days(3));
        entry(cache.path(), "guest-3", now);
        fs::write(cache.path().join("soak.json.lock"), "").unwrap();

        let unused = unused(cache.path(), now).unwrap();

        assert_eq!(unused, [cache.path().join("guest-2"), cache.path().join("guest-1")]);
    }

    #[test]
    fn too_little_room_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        ensure_free(folder.path(), Bytes::new(1)).unwrap();
        let error = ensure_free(folder.path(), Bytes::try_from(i64::MAX).unwrap()).unwrap_err();
        assert!(error.to_string().contains("DAXFIT_CACHE"));
    }
}
