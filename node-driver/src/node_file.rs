//! Files of a node that survive a restart of the driver and of the node.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where what is known survives.
pub trait Keep: Send + Sync {
    /// What was kept last; none if there is nothing.
    ///
    /// # Errors
    /// It cannot be read. It may be there again later.
    fn read(&self) -> io::Result<Option<Vec<u8>>>;

    /// Keeps this instead. On return it survives a power loss; before, one leaves this or what was there.
    ///
    /// # Errors
    /// What was there may be there still.
    fn replace(&self, bytes: &[u8]) -> io::Result<()>;
}

/// A file in the folder of the driver's socket, where one process at a time works on the devices of the node. It is replaced as a
/// whole. To delete it is always safe.
#[derive(Debug)]
pub struct NodeFile {
    path: PathBuf,
}

impl NodeFile {
    /// Which bytes are known to be zero.
    #[must_use]
    pub fn known_zeros(folder: &Path) -> Self {
        Self {
            path: folder.join("known-zeros"),
        }
    }

    /// How fast volumes may be erased.
    #[must_use]
    pub fn erase_rates(folder: &Path) -> Self {
        Self {
            path: folder.join("erase-rates"),
        }
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

impl Keep for NodeFile {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        File::open(self.folder())?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = NodeFile::known_zeros(folder.path());
        assert_eq!(file.read().unwrap(), None);
        for bytes in [&b"one"[..], b"", b"another"] {
            file.replace(bytes).unwrap();
            assert_eq!(
                NodeFile::known_zeros(folder.path()).read().unwrap().as_deref(),
                Some(bytes)
            );
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = NodeFile::known_zeros(&folder.path().join("none"));
        assert_eq!(file.read().unwrap(), None);
        assert!(file.replace(b"one").is_err());
    }
}
