//! Why a tool or a call of the kernel failed.

use std::io;
use std::path::{Path, PathBuf};

use super::mountinfo::NotMountInfo;

/// Why a tool or a call of the kernel failed.
#[derive(Debug, thiserror::Error)]
pub enum FilesystemError {
    /// A tool did not start.
    #[error("cannot start {tool}: is it installed?")]
    Start {
        /// Its name.
        tool: &'static str,
        /// Mostly ENOENT: the package of the tool is not installed.
        #[source]
        source: io::Error,
    },
    /// A tool ended with a failure.
    #[error("{tool} failed ({status}): {output}")]
    Tool {
        /// Its name.
        tool: &'static str,
        /// Its exit status, or the signal that ended it.
        status: String,
        /// The first lines that it wrote.
        output: String,
    },
    /// The kernel refused a call.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path that the call was about.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The list of mounts is not as proc(5) describes it.
    #[error("cannot read the list of mounts")]
    MountInfo(#[from] NotMountInfo),
}

impl FilesystemError {
    /// For `map_err` on a call of the kernel.
    pub(super) fn io<E: Into<io::Error>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source: source.into(),
        }
    }
}
