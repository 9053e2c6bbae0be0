//! Where a request comes from and what its client has asked: the connection says it, and behind a trusted proxy its
//! `X-Forwarded-*` fields do.
//!
//! A field that anybody can write is believed only from networks that the operator has named, and the addresses of
//! `X-Forwarded-For` are read from the right: what stands left of the first one that is no trusted proxy was written by a client.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Most addresses of a chain of proxies that are looked at.
const HOPS_MAX: usize = 32;

/// The networks of proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The client's address, as far as it is known.
    pub remote: IpAddr,
    /// Whether the client speaks TLS.
    pub is_secure: bool,
    /// Host, and port where it names one, that the client has asked.
    pub host: Option<Authority>,
}

impl Origin {
    /// Scheme and host that the client reaches this server by; `None` where it names no host.
    pub fn url(&self) -> Option<String> {
        let scheme = if self.is_secure { "https" } else { "http" };
        self.host.as_ref().map(|host| format!("{scheme}://{host}"))
    }
}

impl Proxies {
    /// These networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Where a request with these header fields comes from, which came by a connection from `peer`, with TLS or without.
    pub fn origin(&self, peer: IpAddr, tls: bool, parts: &Parts) -> Origin {
        let asked = parts.uri.authority().cloned().or_else(|| host(last(&parts.headers, &HOST)?));
        if !self.trusts(peer) {
            return Origin { remote: peer, is_secure: tls, host: asked };
        }
        let is_secure = match last(&parts.headers, &FORWARDED_PROTO) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => tls,
        };
        let host = last(&parts.headers, &FORWARDED_HOST).and_then(host).or(asked);
        Origin { remote: self.client(peer, &parts.headers), is_secure, host }
    }

    /// The nearest address that is no proxy's.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let fields = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(HOPS_MAX) {
            let Some(address) = std::str::from_utf8(hop).ok().and_then(address) else { break };
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// What the nearest proxy has written: the last part of the last field.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let field = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    field.rsplit(',').next().map(str::trim)
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// A host, with or without a port, that is nothing else besides.
fn host(text: &str) -> Option<Authority> {
    let host = Authority::try_from(text).ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.host().is_empty() && text.bytes().all(is_plain)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const HERE: &str = "127.0.0.1";

    /// `remote scheme://host` of a request from `peer` with these fields.
    fn seen(peer: &str, fields: &[(&str, &str)]) -> String {
        let mut request = Request::builder().header("host", "inside:5000");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let networks = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let origin = Proxies::new(networks.to_vec()).origin(peer.parse().unwrap(), false, &parts);
        format!("{} {}", origin.remote, origin.url().unwrap())
    }

    #[test]
    fn a_proxy_is_believed_and_nobody_else() {
        let all = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "r.example"),
        ];
        assert_eq!(seen(HERE, &all), "192.0.2.1 https://r.example");
        assert_eq!(seen("::ffff:127.0.0.1", &all), "192.0.2.1 https://r.example");
        assert_eq!(seen("198.51.100.9", &all), "198.51.100.9 http://inside:5000");
        assert_eq!(seen(HERE, &[]), "127.0.0.1 http://inside:5000");
    }

    #[test]
    fn the_chain_is_read_from_the_right() {
        for (chain, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1, 10.0.0.7", "192.0.2.1"),
            ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
            ("192.0.2.1, nonsense, 10.0.0.7", "10.0.0.7"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("", HERE),
            ("unknown", HERE),
        ] {
            let expected = format!("{client} http://inside:5000");
            assert_eq!(seen(HERE, &[("x-forwarded-for", chain)]), expected, "{chain}");
        }
        let twice = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.7")];
        assert_eq!(seen(HERE, &twice), "192.0.2.1 http://inside:5000", "several fields are one list");
        let long = vec!["10.0.0.1"; HOPS_MAX + 8].join(",");
        assert_eq!(seen(HERE, &[("x-forwarded-for", &long)]), "10.0.0.1 http://inside:5000");
    }

    #[test]
    fn a_host_is_nothing_but_a_host() {
        for (sent, host) in [
            ("r.example:8443", "r.example:8443"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("other, r.example", "r.example"),
            ("user@r.example", "inside:5000"),
            ("r.example/path", "inside:5000"),
            ("r.example\",evil=\"", "inside:5000"),
            ("", "inside:5000"),
            (":80", "inside:5000"),
        ] {
            let expected = format!("127.0.0.1 http://{host}");
            assert_eq!(seen(HERE, &[("x-forwarded-host", sent)]), expected, "{sent}");
        }
    }

    #[test]
    fn a_scheme_is_one_of_two() {
        for (sent, scheme) in [("HTTPS", "https"), ("http, https", "https"), ("ftp", "http"), ("", "http")] {
            let expected = format!("127.0.0.1 {scheme}://inside:5000");
            assert_eq!(seen(HERE, &[("x-forwarded-proto", sent)]), expected, "{sent}");
        }
    }
}
