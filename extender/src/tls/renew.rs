//! Makes the certificates that are missing or about to end.

use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::parse_x509_certificate;

use super::directory::{CA, CLIENT, CLIENT_KEY, GENERATED_CA_KEY, SERVER, SERVER_KEY, TlsDirectory};
use super::generate::{Role, authority, leaf};
use super::plan::{Contents, Plan, plan};
use super::{TlsError, config};

/// Makes sure that there are certificates, and says whether any was written.
///
/// What an administrator put there is never changed. Keys are kept when certificates are renewed, so that whoever reads
/// a certificate and its key at any moment reads two that go together. Blocks on files.
///
/// # Errors
/// A file cannot be read or written, or an administrator's files are incomplete: the error names the file.
pub fn renew_certificates(directory: &TlsDirectory, now: Timestamp) -> Result<bool, TlsError> {
    let _lock = directory.lock()?;
    match plan(&contents(directory)?, now) {
        Plan::LeaveAlone => {
            config::server_config(directory)?;
            Ok(false)
        }
        Plan::Incomplete(missing) => Err(TlsError::Incomplete {
            directory: directory.path().into(),
            missing,
        }),
        Plan::All => make_authority(directory, now).and_then(|()| make_leaves(directory, true, true, now)),
        Plan::Leaves { server, client } => make_leaves(directory, server, client, now),
    }
}

fn contents(directory: &TlsDirectory) -> Result<Contents, TlsError> {
    let mut contents = Contents::default();
    for name in [CA, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY] {
        if directory.read(name)?.is_some() {
            contents.files.push(name);
        }
    }
    contents.own_ca_until = until(directory, CA, GENERATED_CA_KEY)?;
    contents.server_until = until(directory, SERVER, SERVER_KEY)?;
    contents.client_until = until(directory, CLIENT, CLIENT_KEY)?;
    Ok(contents)
}

/// When a certificate ends, if both it and its key are there, can be read, and go together.
fn until(directory: &TlsDirectory, certificate: &str, key: &str) -> Result<Option<Timestamp>, TlsError> {
    let (Some(_), Some(key)) = (directory.read(certificate)?, key_pair(directory, key)?) else {
        return Ok(None);
    };
    let chain = directory.certificates(certificate).unwrap_or_default();
    Ok(chain.first().and_then(|der| end_of(der, &key)))
}

fn end_of(der: &CertificateDer, key: &KeyPair) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    let end = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok();
    end.filter(|_| belong_together(&certificate, key))
}

fn belong_together(certificate: &X509Certificate, key: &KeyPair) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes()
}

/// A key that can be read; anything else is as if it were not there.
fn key_pair(directory: &TlsDirectory, name: &str) -> Result<Option<KeyPair>, TlsError> {
    Ok(directory.read(name)?.and_then(|pem| KeyPair::from_pem(&pem).ok()))
}

fn key_pair_or_new(directory: &TlsDirectory, name: &str) -> Result<KeyPair, TlsError> {
    if let Some(key) = key_pair(directory, name)? {
        return Ok(key);
    }
    let key = KeyPair::generate()?;
    directory.write(name, &key.serialize_pem())?;
    Ok(key)
}

fn make_authority(directory: &TlsDirectory, now: Timestamp) -> Result<(), TlsError> {
    let key = key_pair_or_new(directory, GENERATED_CA_KEY)?;
    directory.write(CA, &authority(&key, now)?)?;
    tracing::info!(directory = %directory.path().display(), "made a certificate authority");
    Ok(())
}

fn make_leaves(directory: &TlsDirectory, server: bool, client: bool, now: Timestamp) -> Result<bool, TlsError> {
    if server {
        make_leaf(directory, Role::Server, SERVER, SERVER_KEY, now)?;
    }
    if client {
        make_leaf(directory, Role::Client, CLIENT, CLIENT_KEY, now)?;
    }
    Ok(server || client)
}

fn make_leaf(
    directory: &TlsDirectory,
    role: Role,
    certificate: &'static str,
    key: &str,
    now: Timestamp,
) -> Result<(), TlsError> {
    let ca_key = key_pair_or_new(directory, GENERATED_CA_KEY)?;
    let ca = directory.read(CA)?.unwrap_or_default();
    let key = key_pair_or_new(directory, key)?;
    directory.write(certificate, &leaf(role, &key, &ca, &ca_key, now)?)?;
    tracing::info!(file = certificate, "made a certificate");
    Ok(())
}
