//! One process at a time works on the devices of a node: a lock on a file in the folder of the driver's socket.
//!
//! Two of them would undo each other's steps: each lists the devices, decides, and only then acts.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use jiff::Timestamp;

/// The file. Nothing removes it: a process that waits for the old file would hold another lock than one that makes it anew.
const FILE: &str = "devices.lock";

/// The right to work on the devices of this node, until this is dropped or the process ends, however it ends.
#[derive(Debug)]
#[must_use = "the lock is released with this"]
pub struct NodeLock {
    _file: File,
}

/// Why a process must not work on the devices.
#[derive(Debug, thiserror::Error)]
pub enum NodeLockError {
    /// Another process does so.
    #[error("another process works on the persistent memory of this node: {holder} ({}). End that first", path.display())]
    Held {
        /// What that process wrote about itself.
        holder: String,
        /// The file that it has locked.
        path: PathBuf,
    },
    /// The file cannot be made or locked.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl NodeLock {
    /// Takes the lock in `folder`, which is made if it does not exist.
    ///
    /// # Errors
    /// Another process has it, and who that is; or the file cannot be made.
    pub fn take(folder: &Path) -> Result<Self, NodeLockError> {
        fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let path = folder.join(FILE);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&file, path)),
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        let written = file.set_len(0).and_then(|()| file.write_all(this_process().as_bytes()));
        written.map_err(failed("write", &path))?;
        Ok(Self { _file: file })
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NodeLockError {
    let path = path.to_owned();
    move |source| NodeLockError::Io { action, path, source }
}

fn held(mut file: &File, path: PathBuf) -> NodeLockError {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(0) => "one that has only just begun".clone_into(&mut holder),
        Ok(_) => {}
        Err(error) => holder = format!("it cannot be read who: {error}"),
    }
    NodeLockError::Held { holder, path }
}

/// In a pod, the host name is the name of the pod.
fn this_process() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    format!("process {} on {host} since {:.0}", process::id(), Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    /// In the environment of the process that is to be killed.
    const HOLD_IN: &str = "DAXFIT_TEST_HOLD_LOCK_IN";

    #[test]
    fn a_second_process_is_told_who_has_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("plugin");
        let first = NodeLock::take(&plugin).unwrap();
        let refused = NodeLock::take(&plugin).unwrap_err().to_string();
        let this = format!("process {} on ", process::id());
        assert!(refused.contains(&this) && refused.contains(" since 20"), "{refused}");
        drop(first);
        let _next = NodeLock::take(&plugin).unwrap();
    }

    /// Runs itself once more, as the process that is killed.
    #[test]
    fn a_process_that_is_killed_leaves_the_lock_free() {
        if let Some(folder) = std::env::var_os(HOLD_IN) {
            let _lock = NodeLock::take(Path::new(&folder)).unwrap();
            sleep(Duration::from_secs(600));
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "node_lock::tests::a_process_that_is_killed_leaves_the_lock_free",
            ])
            .env(HOLD_IN, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let named = format!("process {} on ", holder.id());
        let begun = Instant::now();
        let written = || fs::read_to_string(folder.path().join(FILE)).unwrap_or_default();
        while !written().contains(&named) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "the other process never had the lock"
            );
            sleep(Duration::from_millis(20));
        }
        let refused = NodeLock::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&named), "{refused}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        let _lock = NodeLock::take(folder.path()).unwrap();
    }
}
