//! TLS of a listener: certificates from files, re-read on request while connections go on.

use crate::error::ListenError;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// The files that a TLS listener proves its identity with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file: the certificate, then the chain up to, without, the root.
    pub certificate: PathBuf,
    /// PEM file: the private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key: PathBuf,
}

/// The identity of one TLS listener.
#[derive(Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    acceptor: TlsAcceptorDebug,
}

/// `TlsAcceptor` without its contents in logs.
struct TlsAcceptorDebug(TlsAcceptor);

impl std::fmt::Debug for TlsAcceptorDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

/// The current certificate; handshakes under way keep the one they began with.
#[derive(Debug)]
struct Certificates {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// The files as they were when they were last read, or tried to be.
    seen: Mutex<[Option<Stamp>; 2]>,
}

impl Tls {
    /// Reads the files. `protocols` are what is spoken inside TLS, the best first.
    ///
    /// # Errors
    /// [`ListenError::Tls`] if a file cannot be read, holds no PEM of its kind, or key and certificate do not belong together.
    pub fn load(config: &TlsConfig, protocols: &[&[u8]]) -> Result<Self, ListenError> {
        let provider = Arc::new(default_provider());
        // Before they are read: what changes meanwhile is read again.
        let seen = Mutex::new(stamps(config));
        let current = RwLock::new(Arc::new(read(config, &provider)?));
        let certificates =
            Arc::new(Certificates { config: config.clone(), provider: Arc::clone(&provider), current, seen });
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(config, &error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificates) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        server.ticketer = Ticketer::new().map_err(|error| refused(config, &error))?;
        Ok(Self { certificates, acceptor: TlsAcceptorDebug(TlsAcceptor::from(Arc::new(server))) })
    }

    /// Makes handshakes.
    pub fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor.0
    }

    /// Reads the files again. New connections see the new certificate.
    ///
    /// # Errors
    /// As [`load`](Self::load); then the old certificate stays.
    pub fn reload(&self) -> Result<(), ListenError> {
        let certificates = &self.certificates;
        *certificates.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamps(&certificates.config);
        let fresh = Arc::new(read(&certificates.config, &certificates.provider)?);
        *certificates.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reads the files again where one of them has changed since. One that cannot be used, as when the key is yet to follow its
    /// certificate, is said once, and the old ones stay.
    pub fn follow(&self) {
        let certificates = &self.certificates;
        let is_known = {
            let seen = certificates.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen == stamps(&certificates.config)
        };
        if is_known {
            return;
        }
        let certificate = certificates.config.certificate.display();
        match self.reload() {
            Ok(()) => tracing::info!(%certificate, "a certificate has changed and was read again"),
            Err(error) => tracing::warn!(%error, "a certificate has changed; the old one stays in use"),
        }
    }
}

/// Reads certificates again when their files have changed, looking so often, for ever. `None` where there is nothing to look after.
pub fn watch_certificates(
    all: Vec<Arc<Tls>>,
    every: Option<Duration>,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let every = every.filter(|_| !all.is_empty())?;
    Some(async move {
        loop {
            tokio::time::sleep(every).await;
            for tls in &all {
                let tls = Arc::clone(tls);
                // A look that fails is made again; nobody waits for it.
                let _ = tokio::task::spawn_blocking(move || tls.follow()).await;
            }
        }
    })
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What tells a file from the one that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    inode: u64,
}

impl Stamp {
    /// Follows links, as Kubernetes and ACME clients change them and not the files.
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self { modified: file.modified().ok()?, len: file.len(), inode: file.ino() })
    }
}

fn stamps(config: &TlsConfig) -> [Option<Stamp>; 2] {
    [&config.certificate, &config.key].map(|path| Stamp::of(path))
}

/// Reads and checks the two files.
fn read(config: &TlsConfig, provider: &CryptoProvider) -> Result<CertifiedKey, ListenError> {
    let chain = CertificateDer::pem_file_iter(&config.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| ListenError::Tls { path: config.certificate.clone(), reason: error.to_string() })?;
    if chain.is_empty() {
        let reason = "no certificate in it".to_owned();
        return Err(ListenError::Tls { path: config.certificate.clone(), reason });
    }
    let key = PrivateKeyDer::from_pem_file(&config.key)
        .map_err(|error| ListenError::Tls { path: config.key.clone(), reason: error.to_string() })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| refused(config, &error))
}

fn refused(config: &TlsConfig, error: &rustls::Error) -> ListenError {
    ListenError::Tls { path: config.certificate.clone(), reason: error.to_string() }
}
