//! Where a server is: `http://HOST[:PORT]` or `https://HOST[:PORT]`.

use super::ClientError;
use http::Uri;
use std::net::IpAddr;

/// An address taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// As it was given, without a slash at the end.
    pub(super) url: String,
    pub(super) tls: bool,
    /// A name or an address, an IPv6 one without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as they stand in the header `Host`.
    pub(super) authority: String,
    /// Scheme, host and port as they are for everybody: lower case, without the scheme's own port.
    pub(super) origin: String,
}

impl Address {
    /// Reads it.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub(super) fn parse(url: &str) -> Result<Self, ClientError> {
        let refused = |why| ClientError::Address { url: url.to_owned(), why };
        let uri: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused("it begins with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| refused("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("it holds a user name"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refused("there is a path behind the host"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(refused("it names no host"));
        }
        // A port that is no number is not found by the parser, but it is there.
        if authority.port_u16().is_none() && authority.as_str() != authority.host() {
            return Err(refused("its port is none"));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let shown = match (tls, port) {
            (true, 443) | (false, 80) => String::new(),
            _ => format!(":{port}"),
        };
        let scheme = if tls { "https" } else { "http" };
        Ok(Self {
            origin: format!("{scheme}://{}{shown}", authority.host().to_ascii_lowercase()),
            url: url.trim_end_matches('/').to_owned(),
            tls,
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
        })
    }

    /// Whether it is the machine itself, by what it is called.
    pub(super) fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_scheme_host_and_port() {
        for (url, tls, host, port, authority) in [
            ("http://localhost:5000", false, "localhost", 5000, "localhost:5000"),
            ("http://localhost:5000/", false, "localhost", 5000, "localhost:5000"),
            ("https://registry.example", true, "registry.example", 443, "registry.example"),
            ("http://127.0.0.1", false, "127.0.0.1", 80, "127.0.0.1"),
            ("https://[::1]:5001", true, "::1", 5001, "[::1]:5001"),
        ] {
            let found = Address::parse(url).unwrap();
            assert_eq!(
                (found.tls, &*found.host, found.port, &*found.authority),
                (tls, host, port, authority)
            );
            assert!(!found.url.ends_with('/'));
        }
    }

    #[test]
    fn one_server_has_one_origin() {
        for (url, origin, loopback) in [
            ("http://localhost:5000/", "http://localhost:5000", true),
            ("HTTP://LocalHost:5000", "http://localhost:5000", true),
            ("http://127.0.0.1:80", "http://127.0.0.1", true),
            ("https://Registry.Example:443", "https://registry.example", false),
            ("https://registry.example:80", "https://registry.example:80", false),
            ("http://[::1]:5001", "http://[::1]:5001", true),
            ("http://192.0.2.7", "http://192.0.2.7", false),
        ] {
            let found = Address::parse(url).unwrap();
            assert_eq!((&*found.origin, found.is_loopback()), (origin, loopback), "{url}");
        }
    }

    #[test]
    fn refuses_what_it_would_not_reach() {
        for url in [
            "",
            "localhost:5000",
            "ftp://localhost",
            "/path",
            "http://",
            "http://user@host",
            "http://host/prefix",
            "http://host/?q",
            "http://host:99999",
        ] {
            assert!(Address::parse(url).is_err(), "{url}");
        }
    }
}
