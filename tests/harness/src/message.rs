//! Requests and responses as values, and what a test expects of a response.

use bytes::Bytes;
use serde_json::Value;
use std::fmt;

/// What follows the head of a request.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing. Methods that usually carry a body say `Content-Length: 0`.
    Empty,
    /// `Content-Length` and the bytes.
    Sized(Bytes),
    /// `Transfer-Encoding: chunked`, one chunk per element.
    Chunked(Vec<Bytes>),
}

/// One request, sent exactly as it says.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method token.
    pub method: String,
    /// Path and query as they go on the wire, not encoded any further.
    pub target: String,
    /// In order; a header said here replaces the one that would be sent by default.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: Body,
}

impl Request {
    /// A request without body and extra headers.
    pub fn new(method: &str, target: impl Into<String>) -> Request {
        Request { method: method.to_owned(), target: target.into(), headers: Vec::new(), body: Body::Empty }
    }

    /// `GET target`.
    pub fn get(target: impl Into<String>) -> Request {
        Request::new("GET", target)
    }

    /// `HEAD target`.
    pub fn head(target: impl Into<String>) -> Request {
        Request::new("HEAD", target)
    }

    /// `POST target`.
    pub fn post(target: impl Into<String>) -> Request {
        Request::new("POST", target)
    }

    /// `PUT target`.
    pub fn put(target: impl Into<String>) -> Request {
        Request::new("PUT", target)
    }

    /// `PATCH target`.
    pub fn patch(target: impl Into<String>) -> Request {
        Request::new("PATCH", target)
    }

    /// `DELETE target`.
    pub fn delete(target: impl Into<String>) -> Request {
        Request::new("DELETE", target)
    }

    /// Adds one header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Request {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends `bytes` under a `Content-Length`.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Request {
        self.body = Body::Sized(bytes.into());
        self
    }

    /// Sends `bytes` chunked, `size` bytes a chunk.
    #[must_use]
    pub fn chunked(mut self, bytes: &Bytes, size: usize) -> Request {
        let pieces = (0..bytes.len()).step_by(size.max(1));
        self.body = Body::Chunked(pieces.map(|at| bytes.slice(at..bytes.len().min(at + size))).collect());
        self
    }

    /// The head as it goes on an HTTP/1.1 connection, the empty line included.
    pub fn head_bytes(&self, host: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut line = |name: &str, value: &str| {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        };
        if !given("host") {
            line("Host", host);
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        let framed = given("content-length") || given("transfer-encoding");
        match &self.body {
            Body::Empty if !framed && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") => {
                line("Content-Length", "0");
            }
            Body::Sized(bytes) if !framed => line("Content-Length", &bytes.len().to_string()),
            Body::Chunked(_) if !framed => line("Transfer-Encoding", "chunked"),
            _ => {}
        }
        out.push_str("\r\n");
        out.into_bytes()
    }
}

/// One response, body included.
#[derive(Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Bytes,
    /// Which request it answers, for messages.
    pub request: String,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} -> {}", self.request, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {value}")?;
        }
        let shown = &self.body[..self.body.len().min(600)];
        write!(f, "  [{} bytes] {}", self.body.len(), String::from_utf8_lossy(shown))
    }
}

impl Response {
    /// The value of a header that may be there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        first
    }

    /// All values of a header, in order.
    pub fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in the body of {self:?}"))
    }

    /// Asserts the status, and what every answer of the registry API carries.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert_eq!(self.status, status, "status of {self:?}");
        assert_eq!(
            self.header("docker-distribution-api-version"),
            Some("registry/2.0"),
            "docker-distribution-api-version of {self:?}"
        );
        self
    }

    /// Asserts one header's exact value.
    #[track_caller]
    pub fn expect_header(self, name: &str, value: impl AsRef<str>) -> Response {
        assert_eq!(self.header(name), Some(value.as_ref()), "{name} of {self:?}");
        self
    }

    /// Asserts that a header is not there.
    #[track_caller]
    pub fn expect_no_header(self, name: &str) -> Response {
        assert_eq!(self.header(name), None, "{name} of {self:?}");
        self
    }

    /// Asserts the exact body, without printing megabytes when it differs.
    #[track_caller]
    pub fn expect_body(self, bytes: &[u8]) -> Response {
        let differs = self.body.iter().zip(bytes).position(|(a, b)| a != b);
        assert!(
            self.body.len() == bytes.len() && differs.is_none(),
            "body of {} bytes instead of {}, first difference at {differs:?}: {self:?}",
            self.body.len(),
            bytes.len()
        );
        self
    }

    /// Asserts status, the spec's error body and its codes, in order.
    #[track_caller]
    pub fn expect_errors(self, status: u16, codes: &[&str]) -> Response {
        let response = self.expect(status);
        let content_type = response.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("application/json"), "content-type of {response:?}");
        assert_eq!(response.error_codes(), codes, "error codes of {response:?}");
        response
    }

    /// Asserts status and the one error of the spec's error body.
    #[track_caller]
    pub fn expect_error(self, status: u16, code: &str) -> Response {
        self.expect_errors(status, &[code])
    }

    /// Asserts that an HTTP-level check refused the request before it reached the registry API.
    #[track_caller]
    pub fn expect_refused(self, statuses: &[u16]) -> Response {
        assert!(statuses.contains(&self.status), "one of {statuses:?} is expected of {self:?}");
        self
    }

    /// The codes of a spec error body.
    #[track_caller]
    pub fn error_codes(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no errors array in {self:?}"));
        assert!(!errors.is_empty(), "an empty errors array in {self:?}");
        let code = |error: &Value| {
            assert!(
                error["message"].as_str().is_none_or(|text| !text.is_empty()),
                "empty message in {self:?}"
            );
            error["code"].as_str().unwrap_or_else(|| panic!("an error without code in {self:?}")).to_owned()
        };
        errors.iter().map(code).collect()
    }

    /// The code of a problem of the admin API, after looking at the rest of it (RFC 9457).
    #[track_caller]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status, "{self:?}");
        assert_eq!(json["request"].as_str(), self.header("x-request-id"), "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {self:?}");
        }
        let code = json["code"].as_str().unwrap_or_else(|| panic!("no code in {self:?}"));
        assert!(json["type"].as_str().is_some_and(|kind| kind.ends_with(&format!("/{code}"))), "{self:?}");
        code.to_owned()
    }

    /// Asserts that the admin API refused the request with this status and code.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Response {
        assert_eq!((self.status, self.problem().as_str()), (status, code), "{self:?}");
        self
    }

    /// The path and query of `Location`, whether it is absolute or not.
    #[track_caller]
    pub fn location(&self) -> String {
        let location = self.header("location").unwrap_or_else(|| panic!("no location in {self:?}"));
        let path = match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => location,
        };
        assert!(path.starts_with('/'), "location {location} is neither absolute nor path-absolute");
        path.to_owned()
    }

    /// The target of `Link: <…>; rel="next"`, if there is one.
    #[track_caller]
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let (target, parameters) =
            link.split_once(';').unwrap_or_else(|| panic!("link {link} names no relation"));
        assert_eq!(parameters.trim(), "rel=\"next\"", "relation of the link in {self:?}");
        let target = target.trim();
        assert!(target.starts_with('<') && target.ends_with('>'), "form of the link in {self:?}");
        Some(target[1..target.len() - 1].to_owned())
    }
}
