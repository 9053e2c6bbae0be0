//! The server under load: where it listens and what it is trusted by.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::bad;

/// A server under load.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// How to reach it by TLS; plain if there is none.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Server {
    /// One that is reached plainly.
    pub fn plain(address: SocketAddr) -> Server {
        Server { address, tls: None }
    }

    /// One that is reached by TLS 1.3, trusting the certificate in the PEM file and asking for `protocol` by ALPN.
    ///
    /// # Errors
    /// When the file cannot be read or is no certificate.
    pub fn tls(address: SocketAddr, certificate: &Path, protocol: &str) -> io::Result<Server> {
        let pem = fs::read(certificate)?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|why| bad(format!("the certificate: {why}")))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|why| bad(format!("the certificate: {why}")))?;
        let mut provider = aws_lc_rs::default_provider();
        // As Go's clients do where the processor knows AES, and they are nearly all there is.
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|why| bad(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(Server { address, tls: Some(Arc::new(config)) })
    }
}

/// Writes a new self-signed certificate for loopback and its key as `certificate.pem` and `key.pem` into a folder.
///
/// # Errors
/// When it cannot be written.
pub fn make_certificate(folder: &Path) -> io::Result<()> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).map_err(|why| bad(why.to_string()))?;
    fs::write(folder.join("certificate.pem"), made.cert.pem())?;
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())
}
