//! Which certificates a client trusts: those of a file, or those of the system.

use super::ClientError;
use super::address::Address;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Where systems keep the certificates that they trust: Debian, Alpine and Arch; Fedora and Red Hat; openSUSE.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// The variable that names another file, as OpenSSL and curl know it.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Makes handshakes with one server.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificates to trust.
    ///
    /// # Errors
    /// [`ClientError::Trust`], [`ClientError::NoTrust`], [`ClientError::Address`] where the host can have no certificate.
    pub(super) fn new(address: &Address, ca: Option<&Path>) -> Result<Self, ClientError> {
        let no_name =
            |_| ClientError::Address { url: address.url.clone(), why: "no certificate can name its host" };
        let name = ServerName::try_from(address.host.clone()).map_err(no_name)?;
        let roots = roots(&bundle(ca)?)?;
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Trust { path: PathBuf::new(), why: error.to_string() })?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Shakes hands.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// The file to read.
fn bundle(ca: Option<&Path>) -> Result<PathBuf, ClientError> {
    if let Some(path) = ca {
        return Ok(path.to_owned());
    }
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let system = SYSTEM.iter().map(Path::new).find(|path| path.exists());
    system.map(Path::to_owned).ok_or(ClientError::NoTrust)
}

fn roots(path: &Path) -> Result<RootCertStore, ClientError> {
    let refused = |why: String| ClientError::Trust { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| refused(error.to_string()))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        // A system's list may hold one that this library does not take; the others are still good.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() { Err(refused("it holds no certificate".to_owned())) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let address = Address::parse("https://localhost").unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Tls::new(&address, Some(file.path())).unwrap_err();
        assert!(error.to_string().contains("holds no certificate"), "{error}");
        let error = Tls::new(&address, Some(Path::new("/nowhere/ca.pem"))).unwrap_err();
        assert!(error.is_wrong_use() && error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
