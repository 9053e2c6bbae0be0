//! Certificates made for one test.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A self-signed certificate for `localhost` and `127.0.0.1`, in files, and as what a client trusts.
#[derive(Debug)]
pub struct Certificate {
    /// PEM file of the certificate.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Makes a new one in `directory`, replacing one that is there.
    #[track_caller]
    pub fn make(directory: &Path) -> Certificate {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
        let certificate = directory.join("certificate.pem");
        let key = directory.join("key.pem");
        fs::write(&certificate, made.cert.pem()).expect("the certificate can be written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("the key can be written");
        Certificate { certificate, key, der: made.cert.der().clone() }
    }

    /// A client that trusts this certificate only and offers these protocols by ALPN.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("the certificate is one");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}
