//! The certificate that HTTPS shows: given, or made by ourselves and kept.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum_server::tls_rustls::RustlsConfig;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::Certificate;

/// Browsers refuse certificates that are valid for longer than this.
const VALID: Duration = Duration::from_secs(397 * 24 * 3600);

/// A certificate with less than this left is made anew.
const RENEW: Duration = Duration::from_secs(7 * 24 * 3600);

/// Clocks of clients may be behind ours.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// Why there is no usable certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// A file can't be read or written.
    #[error("{path}: {source}; give a certificate and key that this user can read, or a state directory it can write")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not usable: {why}; give PEM files of a certificate chain and its own private key")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// The certificate that connections are shown, which can be changed while they go on.
#[derive(Clone)]
pub struct Shown {
    tls: RustlsConfig,
    addresses: Vec<IpAddr>,
}

/// A certificate that is fit to be shown.
pub struct Fit(Arc<ServerConfig>);

impl Shown {
    /// Shows `certificate`; a self-made one names `addresses`, localhost and this host.
    pub(super) fn open(certificate: &Certificate, addresses: Vec<IpAddr>) -> Result<Shown, CertificateError> {
        let tls = RustlsConfig::from_config(load(certificate, &addresses)?);
        Ok(Shown { tls, addresses })
    }
    pub(super) fn tls(&self) -> RustlsConfig {
        self.tls.clone()
    }
    /// Reads another certificate, for [`Shown::show`].
    pub fn prepare(&self, certificate: &Certificate) -> Result<Fit, CertificateError> {
        load(certificate, &self.addresses).map(Fit)
    }
    /// New connections are shown this one from now on.
    pub fn show(&self, certificate: Fit) {
        self.tls.reload_from_config(certificate.0);
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(…)")
    }
}

fn load(certificate: &Certificate, addresses: &[IpAddr]) -> Result<Arc<ServerConfig>, CertificateError> {
    let (chain, key) = match certificate {
        Certificate::Given { chain, key } => (chain.clone(), key.clone()),
        Certificate::Own { state } => kept(state, &names(addresses.iter().copied()), unix_now())?,
    };
    configure(&chain, &key)
}

/// Whether a chain and its key are fit to be shown; changes nothing.
pub fn verify(chain: &Path, key: &Path) -> Result<(), CertificateError> {
    configure(chain, key).map(drop)
}

fn configure(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
    let unusable = |path: &Path, why: String| CertificateError::Unusable { path: path.into(), why };
    let chain_pem = fs::read(chain).map_err(|source| CertificateError::File {
        path: chain.into(),
        source,
    })?;
    let key_pem = fs::read(key).map_err(|source| CertificateError::File {
        path: key.into(),
        source,
    })?;
    let certificates = CertificateDer::pem_slice_iter(&chain_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(chain, error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(chain, "there is no certificate in it".into()));
    }
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| unusable(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private))
        .map_err(|error| unusable(key, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn names(addresses: impl Iterator<Item = IpAddr>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for address in addresses {
        if address.is_unspecified() {
            let own = if_addrs::get_if_addrs().unwrap_or_default();
            names.extend(own.into_iter().map(|interface| interface.ip().to_string()));
        } else {
            names.insert(address.to_string());
        }
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let valid = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
    if !host.is_empty() && host.bytes().all(valid) {
        names.insert(host.to_owned());
    }
    names
}

/// What certificates and credentials are valid by.
pub(super) fn unix_now() -> Duration {
    #[allow(clippy::disallowed_methods, reason = "certificates are valid by the calendar")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The files of the certificate in `state`, made when missing, expiring, or for other names.
fn kept(state: &Path, names: &BTreeSet<String>, now: Duration) -> Result<(PathBuf, PathBuf), CertificateError> {
    let [chain, key, note] = ["certificate.pem", "key.pem", "certificate.txt"].map(|name| state.join(name));
    let file = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CertificateError::File { path, source }
    };
    let listed = names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if let Ok(text) = fs::read_to_string(&note)
        && let Some((until, of)) = text.trim_end().split_once('\n')
        && until
            .parse()
            .is_ok_and(|until: u64| Duration::from_secs(until) > now + RENEW)
        && of == listed
        && configure(&chain, &key).is_ok()
    {
        return Ok((chain, key));
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .map_err(file(state))?;
    // Without its note, a half-written pair is made again next time.
    if let Err(source) = fs::remove_file(&note)
        && source.kind() != io::ErrorKind::NotFound
    {
        return Err(CertificateError::File { path: note, source });
    }
    let (certificate_pem, key_pem) = make(names, now)?;
    write(&key, 0o600, &key_pem).map_err(file(&key))?;
    write(&chain, 0o644, &certificate_pem).map_err(file(&chain))?;
    let until = (now + VALID).as_secs();
    write(&note, 0o644, &format!("{until}\n{listed}\n")).map_err(file(&note))?;
    Ok((chain, key))
}

/// A self-signed certificate for `names`, and its key, in PEM.
fn make(names: &BTreeSet<String>, now: Duration) -> Result<(String, String), CertificateError> {
    let mut params = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Hearsight (self-made)");
    params.not_before = (UNIX_EPOCH + now.saturating_sub(BACKDATED)).into();
    params.not_after = (UNIX_EPOCH + now + VALID - BACKDATED).into();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file anew, its mode set before its content is there.
fn write(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
