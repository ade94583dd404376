//! The files.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::TlsError;

pub(super) const CA: &str = "ca.crt";
/// The key of an authority that the extender made itself. An administrator has no reason to leave one here.
pub(super) const GENERATED_CA_KEY: &str = "generated-ca.key";
pub(super) const SERVER: &str = "server.crt";
pub(super) const SERVER_KEY: &str = "server.key";
pub(super) const CLIENT: &str = "client.crt";
pub(super) const CLIENT_KEY: &str = "client.key";
const LOCK: &str = ".lock";

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// The directory that the certificates are in.
#[derive(Clone, Debug)]
pub struct TlsDirectory(PathBuf);

impl TlsDirectory {
    /// The directory at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The text of a file; none if there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, TlsError> {
        let path = self.0.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", path, error)),
        }
    }

    /// The certificates in a file, the owner's own first.
    pub(super) fn certificates(&self, name: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let path = self.0.join(name);
        let pem = fs::read(&path).map_err(|error| io_error("read", path.clone(), error))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match certificates {
            Ok(certificates) if certificates.is_empty() => Err(rustls::pki_types::pem::Error::NoItemsFound),
            other => other,
        }
        .map_err(|source| pem_error(path, "certificate", source))
    }

    /// The key in a file.
    pub(super) fn key(&self, name: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
        let path = self.0.join(name);
        let pem = fs::read(&path).map_err(|error| io_error("read", path.clone(), error))?;
        PrivateKeyDer::from_pem_slice(&pem).map_err(|source| pem_error(path, "private key", source))
    }

    /// Writes a file so that nobody ever sees half of it; keys for the owner only.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), TlsError> {
        let mode = if Path::new(name).extension().is_some_and(|ending| ending == "key") {
            PRIVATE
        } else {
            PUBLIC
        };
        let (path, draft) = (self.0.join(name), self.0.join(format!(".{name}.new")));
        write_new(&draft, text, mode)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| io_error("write", path, error))
    }

    /// Keeps other extenders on this host from writing until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, TlsError> {
        let path = self.0.join(LOCK);
        let open = || {
            fs::create_dir_all(&self.0)?;
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(PRIVATE)
                .open(&path)?;
            file.lock()?;
            Ok(file)
        };
        open().map_err(|error| io_error("lock", path.clone(), error))
    }
}

/// A draft that was left behind by a crash may have other permissions: it is made anew.
fn write_new(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn io_error(what: &'static str, path: PathBuf, source: std::io::Error) -> TlsError {
    TlsError::Io { what, path, source }
}

fn pem_error(path: PathBuf, what: &'static str, source: rustls::pki_types::pem::Error) -> TlsError {
    TlsError::Pem { path, what, source }
}
