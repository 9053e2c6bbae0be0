//! What a server listens at.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a server listens at: an address of the network, or a socket in the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    /// `127.0.0.1:5000`, `unix:/run/strata.sock`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_it_is_configured() {
        assert_eq!(Address::from(SocketAddr::from(([127, 0, 0, 1], 5000))).to_string(), "127.0.0.1:5000");
        assert_eq!(Address::Unix("/run/strata.sock".into()).to_string(), "unix:/run/strata.sock");
    }
}
