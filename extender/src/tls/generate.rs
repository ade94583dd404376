//! New keys and certificates. Pure but for the randomness of the keys.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::plan::{CA_LIFE, LEAF_LIFE};

/// Clocks of the two ends may differ, even if both are on one host that has just booted.
const BACKDATED: SignedDuration = SignedDuration::from_hours(24);

/// Whole days, which is all that `rcgen` takes without another crate for dates (whose type it does not name either).
macro_rules! midnight {
    ($at:expr) => {{
        let date = TimeZone::UTC.to_datetime($at).date();
        rcgen::date_time_ymd(
            date.year().into(),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    }};
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// A self-signed authority for `key`.
pub(super) fn authority(key: &KeyPair, now: Timestamp) -> Result<String, rcgen::Error> {
    let mut params = params("daxfit-extender CA", Vec::new(), now, CA_LIFE)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key)?.pem())
}

/// A certificate for `key`, of the authority `ca` with the key `ca_key`.
pub(super) fn leaf(
    role: Role,
    key: &KeyPair,
    ca: &str,
    ca_key: &KeyPair,
    now: Timestamp,
) -> Result<String, rcgen::Error> {
    let (name, hosts, usage) = match role {
        Role::Server => (
            "daxfit-extender",
            vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()],
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
        Role::Client => (
            "daxfit-extender client",
            Vec::new(),
            ExtendedKeyUsagePurpose::ClientAuth,
        ),
    };
    let mut params = params(name, hosts, now, LEAF_LIFE)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let issuer = Issuer::from_ca_cert_pem(ca, ca_key)?;
    Ok(params.signed_by(key, &issuer)?.pem())
}

fn params(
    name: &str,
    hosts: Vec<String>,
    now: Timestamp,
    life: SignedDuration,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = midnight!(now - BACKDATED);
    params.not_after = midnight!(now + life);
    Ok(params)
}
