//! The head of a reply: its status and the header fields that a registry client looks at.

/// What the head of a reply said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The length of the body that follows, in bytes, if it was told.
    pub length: Option<u64>,
    /// The body comes in chunks.
    pub chunked: bool,
    /// The server closes the connection afterwards.
    pub close: bool,
    /// The path and query of the `Location` header, without scheme and host.
    pub location: Option<String>,
    /// The `WWW-Authenticate` header.
    pub challenge: Option<String>,
    /// The `Docker-Content-Digest` header.
    pub digest: Option<String>,
}

impl Head {
    /// Reads the bytes from the status line to the empty line. `None` if they are not a reply's head.
    pub fn parse(head: &[u8]) -> Option<Head> {
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let old = match words.next()? {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return None,
        };
        let mut parsed = Head { status: words.next()?.parse().ok()?, close: old, ..Head::default() };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => parsed.length = Some(value.parse().ok()?),
                "transfer-encoding" => parsed.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => parsed.close = value.eq_ignore_ascii_case("close"),
                "location" => parsed.location = Some(path_of(value).to_owned()),
                "www-authenticate" => parsed.challenge = Some(value.to_owned()),
                "docker-content-digest" => parsed.digest = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(parsed)
    }
}

/// A URL's path and query.
pub(crate) fn path_of(location: &str) -> &str {
    if location.starts_with('/') {
        return location;
    }
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_its_case() {
        let head = Head::parse(
            b"HTTP/1.1 202 Accepted\r\nLOCATION: http://h:1/v2/a?x=1\r\ncontent-length: 7\r\nDocker-Content-Digest: sha256:0\r\n\r\n",
        );
        let expected = Head {
            status: 202,
            length: Some(7),
            location: Some("/v2/a?x=1".to_owned()),
            digest: Some("sha256:0".to_owned()),
            ..Head::default()
        };
        assert_eq!(head, Some(expected));
    }

    #[test]
    fn chunks_and_an_end_are_seen() {
        let head = Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            .unwrap();
        assert!(head.chunked && head.close && head.length.is_none());
        assert!(Head::parse(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().close);
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for bytes in [
            "",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "SSH-2.0\r\n\r\n",
        ] {
            assert_eq!(Head::parse(bytes.as_bytes()), None, "{bytes:?}");
        }
        assert_eq!(path_of("http://host"), "/");
        assert_eq!(path_of("/v2/?a=http://b"), "/v2/?a=http://b");
    }
}
