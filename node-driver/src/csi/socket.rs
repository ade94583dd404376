//! Unix sockets that the kubelet connects to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

/// A listening socket that only root can connect to. Its file goes away with it, unless somebody replaced it.
#[derive(Debug)]
pub struct PluginSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something else is in its place.
    #[error("{} is in the place of the socket and is none: remove it", .0.display())]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("cannot {action} socket {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl PluginSocket {
    /// Listens at `path`, in place of a socket that an earlier instance left or still has there.
    ///
    /// The socket is made under a name with a dot in front, which the kubelet's plugin watcher ignores
    /// (`handleCreateEvent` in `pkg/kubelet/pluginmanager/pluginwatcher`), and moved to its place when it is ready: there
    /// is no moment without a socket, and none in which others can connect.
    ///
    /// # Errors
    /// If the directory cannot be made or written, or something that is no socket is in the place.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let fresh = fresh_name(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("make the directory of", path))?;
        }
        make_room(path)?;
        make_room(&fresh)?;
        remove_if_there(&fresh)?;
        let listener = UnixListener::bind(&fresh).map_err(failed("listen at", &fresh))?;
        let private = fs::set_permissions(&fresh, Permissions::from_mode(0o600));
        private.map_err(failed("restrict", &fresh))?;
        let identity = identity(&fresh).map_err(failed("look at", &fresh))?;
        fs::rename(&fresh, path).map_err(failed("put in place", path))?;
        let path = path.to_owned();
        let file = SocketFile { path, identity };
        Ok(Self { listener, file })
    }

    /// The connections, and the file that must be kept while there are to be any.
    pub(crate) fn into_incoming(self) -> (UnixListenerStream, SocketFile) {
        (UnixListenerStream::new(self.listener), self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A new instance may have put its own socket there.
        let ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if !ours {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

fn fresh_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Only a socket may be replaced.
fn make_room(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(()),
        Ok(_) => Err(SocketError::NotASocket(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn remove_if_there(path: &Path) -> Result<(), SocketError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn replaces_its_predecessor_and_leaves_its_successor_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/csi.sock");
        let first = PluginSocket::bind(&path).unwrap();
        let second = PluginSocket::bind(&path).unwrap();
        drop(first);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), second.listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        drop(second);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn replaces_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(std::os::unix::net::UnixListener::bind(fresh_name(&path)).unwrap());
        let _socket = PluginSocket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn leaves_alone_what_is_no_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        fs::write(&path, "x").unwrap();
        let refused = PluginSocket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::NotASocket(_)), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }
}
