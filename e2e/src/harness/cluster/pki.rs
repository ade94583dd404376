//! A small certificate authority for one run, and the kubeconfigs made with it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// Who a certificate speaks for: Kubernetes takes the common name as the user and the organisation as its group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    /// User name, or any name for a server.
    pub(crate) user: String,
    /// Group, such as `system:masters`.
    pub(crate) group: Option<String>,
    /// DNS names and addresses a server is reached by.
    pub(crate) names: Vec<String>,
}

impl Subject {
    /// A client without a group.
    pub(crate) fn user(name: &str) -> Self {
        Self {
            user: name.to_owned(),
            ..Self::default()
        }
    }

    /// A client that may do everything.
    pub(crate) fn admin() -> Self {
        Self {
            user: "admin".to_owned(),
            group: Some("system:masters".to_owned()),
            names: Vec::new(),
        }
    }

    /// A server reached by `names`.
    pub(crate) fn server(user: &str, names: Vec<String>) -> Self {
        Self {
            user: user.to_owned(),
            group: None,
            names,
        }
    }

    /// A kubelet, client of the API server and server for it.
    pub(crate) fn node(name: &str, address: Ipv4Addr) -> Self {
        Self {
            user: format!("system:node:{name}"),
            group: Some("system:nodes".to_owned()),
            names: vec![name.to_owned(), address.to_string()],
        }
    }
}

/// A key pair and its certificate, both PEM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The certificate.
    pub(crate) certificate: String,
    /// The private key (PKCS #8).
    pub(crate) key: String,
}

/// Where an [`Identity`] was written.
#[derive(Debug, Clone)]
pub(crate) struct IdentityFiles {
    /// The certificate.
    pub(crate) certificate: PathBuf,
    /// The private key.
    pub(crate) key: PathBuf,
}

/// The certificate authority of one run; its files live in one folder.
pub(crate) struct Pki {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Pki {
    /// Makes a new authority and writes it, and the key for service account tokens, to `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "daxfit-e2e");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let key_pem = key.serialize_pem();
        let pki = Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            certificate,
        };
        pki.write("ca.crt", &pki.certificate)?;
        pki.write("ca.key", &key_pem)?;
        let tokens = KeyPair::generate()?;
        pki.write("service-accounts.key", &tokens.serialize_pem())?;
        pki.write("service-accounts.pub", &tokens.public_key_pem())?;
        Ok(pki)
    }

    /// The authority's certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The authority's own files.
    pub(crate) fn authority(&self) -> IdentityFiles {
        IdentityFiles {
            certificate: self.folder.join("ca.crt"),
            key: self.folder.join("ca.key"),
        }
    }

    /// The private key that service account tokens are signed with.
    pub(crate) fn token_key(&self) -> PathBuf {
        self.folder.join("service-accounts.key")
    }

    /// The public key that they are checked with.
    pub(crate) fn token_public_key(&self) -> PathBuf {
        self.folder.join("service-accounts.pub")
    }

    /// Issues a certificate for servers and clients alike.
    pub(crate) fn issue(&self, subject: &Subject) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(subject.names.clone())?;
        params.distinguished_name.push(DnType::CommonName, &subject.user);
        if let Some(group) = &subject.group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity {
            certificate,
            key: key.serialize_pem(),
        })
    }

    /// Issues a certificate and writes it as `name.crt` and `name.key`.
    pub(crate) fn issue_files(&self, name: &str, subject: &Subject) -> Result<IdentityFiles> {
        let identity = self.issue(subject)?;
        Ok(IdentityFiles {
            certificate: self.write(&format!("{name}.crt"), &identity.certificate)?,
            key: self.write(&format!("{name}.key"), &identity.key)?,
        })
    }

    /// A kubeconfig for a new identity, for the API server at `server`.
    pub(crate) fn kubeconfig(&self, server: Ipv4Addr, subject: &Subject) -> Result<String> {
        let identity = self.issue(subject)?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "daxfit", "cluster": {
                "server": format!("https://{server}"),
                "certificate-authority-data": base64(&self.certificate),
            }}],
            "users": [{"name": "daxfit", "user": {
                "client-certificate-data": base64(&identity.certificate),
                "client-key-data": base64(&identity.key),
            }}],
            "contexts": [{"name": "daxfit", "context": {"cluster": "daxfit", "user": "daxfit"}}],
            "current-context": "daxfit",
        });
        Ok(serde_json::to_string_pretty(&config)?)
    }

    /// Writes such a kubeconfig as `name.kubeconfig`.
    pub(crate) fn kubeconfig_file(&self, name: &str, server: Ipv4Addr, subject: &Subject) -> Result<PathBuf> {
        self.write(&format!("{name}.kubeconfig"), &self.kubeconfig(server, subject)?)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// Kubernetes types put bytes into JSON as base64.
fn base64(text: &str) -> ByteString {
    ByteString(text.as_bytes().to_vec())
}
