//! Why a server cannot start.

use crate::address::Address;
use std::io;
use std::path::PathBuf;

/// Why a server cannot start, or cannot take new certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// No listener is configured.
    #[error("no address to listen at")]
    NoListener,
    /// The address is taken, not allowed, or not of this machine.
    #[error("cannot listen at {address}: {source}")]
    Bind {
        /// The address asked for.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use {} for TLS: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
