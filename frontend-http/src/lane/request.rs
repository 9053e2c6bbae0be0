//! Requests that are simple enough to be answered from memory. Everything else, whatever it is, is hyper's.

/// Header fields of a request that is looked at here; one with more is not simple.
const HEADERS_MAX: usize = 16;

/// How it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// For the content.
    Get,
    /// For the header fields alone.
    Head,
}

/// A complete head of a GET or HEAD of HTTP/1.1 without a body, and without a header field that could change the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleRequest<'a> {
    /// The method.
    pub asked: Asked,
    /// The request target as it stands in the request line: a path without query and without percent signs.
    pub target: &'a str,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
    /// `X-Request-Id`.
    pub request_id: Option<&'a [u8]>,
    /// `Authorization`, which there is at most once.
    pub authorization: Option<&'a [u8]>,
}

/// The simple request that `bytes` begin with, and how long its head is. `None` for whatever is not one, or not yet.
///
/// An allow list: a field that is not known here may mean something to hyper or to a handler. What hyper would refuse must not be
/// taken here; both parse with `httparse`.
pub fn parse(bytes: &[u8]) -> Option<(SimpleRequest<'_>, usize)> {
    if !bytes.starts_with(b"GET /v2/") && !bytes.starts_with(b"HEAD /v2/") {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(len)) = request.parse(bytes) else { return None };
    let (method, target) = (request.method?, request.path?);
    if request.version != Some(1) || target.contains(['?', '%', '#']) {
        return None;
    }
    let asked = match method {
        "GET" => Asked::Get,
        "HEAD" => Asked::Head,
        _ => return None,
    };
    let mut simple = SimpleRequest { asked, target, user_agent: None, request_id: None, authorization: None };
    for header in request.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("user-agent") {
            simple.user_agent = simple.user_agent.or(Some(header.value));
        } else if name.eq_ignore_ascii_case("x-request-id") {
            simple.request_id = simple.request_id.or(Some(header.value));
        } else if name.eq_ignore_ascii_case("authorization") {
            if simple.authorization.replace(header.value).is_some() {
                return None;
            }
        } else if !is_harmless(name, header.value) {
            return None;
        }
    }
    Some((simple, len))
}

/// Whether a field changes nothing about the answer to a GET or HEAD of stored bytes.
fn is_harmless(name: &str, value: &[u8]) -> bool {
    const HARMLESS: [&str; 8] = [
        "host",
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "pragma",
        "traceparent",
        "tracestate",
    ];
    HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless))
        || (name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &str) -> Option<(SimpleRequest<'_>, usize)> {
        parse(text.as_bytes())
    }

    #[test]
    fn takes_what_clients_send_to_pull() {
        let head = "GET /v2/a/b/blobs/sha256:00 HTTP/1.1\r\nHost: r:5000\r\nUser-Agent: docker/28\r\naccept: a\r\nAccept: b\r\n\
                    Accept-Encoding: gzip\r\nConnection: Keep-Alive\r\nX-Request-Id: 7\r\nAuthorization: Bearer x.y.z\r\n\r\n";
        let next = "HEAD /v2/a/b/manifests/v1 HTTP/1.1\r\nhost: r\r\n\r\n";
        let both = format!("{head}{next}");
        let (request, len) = simple(&both).unwrap();
        assert_eq!(request.asked, Asked::Get);
        assert_eq!(request.target, "/v2/a/b/blobs/sha256:00");
        assert_eq!(request.user_agent, Some(b"docker/28".as_slice()));
        assert_eq!(request.request_id, Some(b"7".as_slice()));
        assert_eq!(request.authorization, Some(b"Bearer x.y.z".as_slice()));
        assert_eq!(len, head.len());
        let (request, len) = simple(next).unwrap();
        assert_eq!((request.asked, request.target, len), (Asked::Head, "/v2/a/b/manifests/v1", next.len()));
    }

    #[test]
    fn leaves_everything_else_alone() {
        let get = "GET /v2/a/blobs/x HTTP/1.1\r\nhost: r\r\n";
        for field in [
            "content-length: 0",
            "content-length: 5",
            "transfer-encoding: chunked",
            "range: bytes=0-1",
            "if-none-match: \"x\"",
            "if-match: *",
            "authorization: Bearer a\r\nauthorization: Bearer a",
            "cookie: a=b",
            "expect: 100-continue",
            "connection: close",
            "connection: upgrade",
            "connection: keep-alive, x",
            "upgrade: h2c",
            "te: trailers",
            "x-forwarded-for: 1.2.3.4",
            "unheard-of: 1",
            " folded: 1",
            "no colon",
            "space : 1",
        ] {
            assert_eq!(simple(&format!("{get}{field}\r\n\r\n")), None, "{field}");
        }
        for line in [
            "POST /v2/a/blobs/x HTTP/1.1",
            "get /v2/a/blobs/x HTTP/1.1",
            "GET /v2/a/blobs/x HTTP/1.0",
            "GET /v2/a/blobs/x?ns=docker.io HTTP/1.1",
            "GET /v2/a%2fb/blobs/x HTTP/1.1",
            "GET http://r/v2/a/blobs/x HTTP/1.1",
            "GET /healthz HTTP/1.1",
            "GET /v2/a/blobs/x",
            "GET  /v2/a/blobs/x HTTP/1.1",
        ] {
            assert_eq!(simple(&format!("{line}\r\nhost: r\r\n\r\n")), None, "{line}");
        }
        assert_eq!(simple(get), None, "a head that is not complete");
        let many = "accept: a\r\n".repeat(HEADERS_MAX);
        assert_eq!(simple(&format!("{get}{many}\r\n")), None, "more fields than are looked at");
    }
}
