//! Directories and files at the paths of requests.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::error::FilesystemError;

/// The path without symbolic links in its parents, as the table of mounts has it; the last part may not exist yet.
///
/// The path as it is if its parent does not exist: then nothing is mounted there.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, FilesystemError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    match fs::canonicalize(parent) {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path.to_owned()),
        Err(error) => Err(FilesystemError::io("resolve", path)(error)),
    }
}

/// Makes a directory that only its owner can change. Already there counts as success, but not a symbolic link: what is
/// mounted on it would be somewhere else.
pub(super) fn make_directory(path: &Path) -> Result<(), FilesystemError> {
    match DirBuilder::new().mode(0o750).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(FilesystemError::io("make directory", path)(error))
        }
        _ if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => Ok(()),
        _ => {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            Err(FilesystemError::io("use as a directory", path)(error))
        }
    }
}

/// Makes an empty file to bind a device to. Already there counts as success, but not a symbolic link.
pub(super) fn make_file(path: &Path) -> Result<(), FilesystemError> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = OpenOptions::new();
    let options = options.create(true).append(true).mode(0o600).custom_flags(no_link);
    options
        .open(path)
        .map(drop)
        .map_err(FilesystemError::io("make file", path))
}

/// Removes an empty directory or a file. Already gone counts as success. A directory with contents stays: it may be data.
pub(super) fn remove(path: &Path) -> Result<(), FilesystemError> {
    let removed = fs::symlink_metadata(path).and_then(|metadata| {
        if metadata.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        }
    });
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FilesystemError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_only_what_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        make_directory(&target).unwrap();
        make_directory(&target).unwrap();
        fs::write(target.join("data"), "x").unwrap();
        assert!(remove(&target).is_err());
        fs::remove_file(target.join("data")).unwrap();
        remove(&target).unwrap();
        remove(&target).unwrap();
        make_file(&target).unwrap();
        make_file(&target).unwrap();
        assert!(make_directory(&target).is_err());
        remove(&target).unwrap();
        assert!(!target.exists());
    }

    #[test]
    fn a_link_at_the_target_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (elsewhere, link) = (dir.path().join("elsewhere"), dir.path().join("t"));
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        assert!(make_directory(&link).is_err());
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("file"), &link).unwrap();
        assert!(make_file(&link).is_err());
        assert!(!elsewhere.join("file").exists());
    }

    #[test]
    fn resolves_parents_only() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink(real.join("a"), real.join("link")).unwrap();
        assert_eq!(resolve(&real.join("link/t")).unwrap(), real.join("a/t"));
        assert_eq!(resolve(Path::new("/none/t")).unwrap(), Path::new("/none/t"));
        assert_eq!(resolve(Path::new("/")).unwrap(), Path::new("/"));
    }
}
