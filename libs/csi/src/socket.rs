//! Unix sockets that the kubelet and the sidecars of CSI connect to.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;

/// A listening socket that only the user of this process can connect to (mode 0600).
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket. It is removed when this is dropped, unless another instance put its own there by then.
#[derive(Debug)]
#[must_use = "the socket is removed with this"]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Something that is no socket is in its place: nobody but its owner should remove it.
    #[error("{} is in the place of the socket and is none: remove it", .0.display())]
    NotASocket(PathBuf),
    /// Another process serves it: two instances must not work side by side.
    #[error("{} is served by another process: end that first", .0.display())]
    InUse(PathBuf),
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

/// How many callers may wait to be accepted, as in the standard library.
const BACKLOG: i32 = 128;

impl Socket {
    /// Listens at `path`, whose folder is made if it does not exist. A socket is replaced if nobody serves it any more:
    /// that is what a process leaves which was killed, or which is still finishing its last calls.
    ///
    /// The socket is made under a name with a dot in front, which the kubelet's plugin watcher ignores
    /// (`handleCreateEvent` in `pkg/kubelet/pluginmanager/pluginwatcher`), and moved to its place when it is ready.
    ///
    /// # Errors
    /// If something else is in its place, another process serves it, or the folder cannot be made or written.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let fresh = fresh_name(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed("make the folder of", path))?;
        }
        require_replaceable(path)?;
        require_replaceable(&fresh)?;
        remove_if_there(&fresh)?;
        let listener = listen_at(&fresh).map_err(failed("listen at", &fresh))?;
        let identity = identity(&fresh).map_err(failed("read", &fresh))?;
        fs::rename(&fresh, path).map_err(failed("put in place", path))?;
        let path = path.to_owned();
        let file = SocketFile { path, identity };
        Ok(Self { listener, file })
    }

    /// The connections, and the file, which has to be kept for as long as there are to be any.
    pub fn into_incoming(self) -> (UnixListenerStream, SocketFile) {
        (UnixListenerStream::new(self.listener), self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = identity(&self.path).is_ok_and(|found| found == self.identity);
        if !ours {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// The file gets the mode that the socket has before it is bound, less the umask (`unix_bind_bsd` in
/// `net/unix/af_unix.c`): so there is no moment in which others can connect.
fn listen_at(path: &Path) -> io::Result<UnixListener> {
    let socket = stream_socket()?;
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

fn stream_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn fresh_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// Device and inode: a file that was put in the place of another one differs.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Only a socket that nobody serves may be replaced.
fn require_replaceable(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) if is_served(path).map_err(failed("connect to", path))? => Err(SocketError::InUse(path.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Whether a process listens there. One that is too busy to accept more callers counts as well (EAGAIN).
fn is_served(path: &Path) -> io::Result<bool> {
    match connect(stream_socket()?, &SocketAddrUnix::new(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
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
    use std::os::unix::fs::PermissionsExt;

    use tokio::net::UnixStream;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn serves_its_user_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/csi.sock");
        let socket = Socket::bind(&path).unwrap();
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), socket.listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
        drop(socket);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn no_other_user_can_connect_at_any_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let listener = listen_at(&path).unwrap();
        assert_eq!(mode(&path), 0o600, "as bind(2) made it: nothing changes the mode later");
        drop(listener);
        let _socket = Socket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(std::os::unix::net::UnixListener::bind(fresh_name(&path)).unwrap());
        let _socket = Socket::bind(&path).unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_predecessor_that_finishes_its_calls_leaves_its_successor_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let (connections, file) = Socket::bind(&path).unwrap().into_incoming();
        drop(connections);
        let _successor = Socket::bind(&path).unwrap();
        drop(file);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn a_socket_that_is_served_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        let first = Socket::bind(&path).unwrap();
        let refused = Socket::bind(&path).unwrap_err();
        assert!(matches!(refused, SocketError::InUse(_)), "{refused}");
        let (connected, accepted) = tokio::join!(UnixStream::connect(&path), first.listener.accept());
        assert!(connected.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("csi.sock");
        for in_the_way in [path.clone(), fresh_name(&path)] {
            fs::write(&in_the_way, "x").unwrap();
            let refused = Socket::bind(&path).unwrap_err();
            assert!(matches!(refused, SocketError::NotASocket(_)), "{refused}");
            assert_eq!(fs::read(&in_the_way).unwrap(), b"x");
            fs::remove_file(in_the_way).unwrap();
        }
    }
}
