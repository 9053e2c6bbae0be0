//! What a request of the admin API is about: a path with its query, and what the one who asks expects to find there.

use http::HeaderName;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{Display, Write as _};

/// What stands in a segment or a value without being encoded (RFC 3986, "unreserved").
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path below `/api/v1/`, with a query and a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    target: String,
    has_query: bool,
    condition: Option<(HeaderName, String)>,
}

impl Resource {
    /// The path of these segments below `/api/v1/`. Each is taken as it is: slashes in it, as images have them, are encoded.
    pub fn new(segments: &[&str]) -> Self {
        let encoded: Vec<String> =
            segments.iter().map(|segment| utf8_percent_encode(segment, PLAIN).to_string()).collect();
        Self::from(format!("/api/v1/{}", encoded.join("/")))
    }

    /// The same with one more parameter in its query.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        let divider = if std::mem::replace(&mut self.has_query, true) { '&' } else { '?' };
        let value = value.to_string();
        // Writing to a string cannot fail.
        let _ = write!(self.target, "{divider}{name}={}", utf8_percent_encode(&value, PLAIN));
        self
    }

    /// The same with one more parameter, where there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same, only as long as it has this revision; any, where there is none.
    #[must_use]
    pub fn at(self, revision: Option<u64>) -> Self {
        match revision {
            Some(revision) => Self { condition: Some((IF_MATCH, format!("\"{revision}\""))), ..self },
            None => self,
        }
    }

    /// The same, only as long as nothing is there.
    #[must_use]
    pub fn if_absent(self) -> Self {
        Self { condition: Some((IF_NONE_MATCH, "*".to_owned())), ..self }
    }

    /// What stands in the request line, and a header field.
    pub(super) fn into_parts(self) -> (String, Option<(HeaderName, String)>) {
        (self.target, self.condition)
    }
}

impl From<String> for Resource {
    fn from(target: String) -> Self {
        Self { has_query: target.contains('?'), target, condition: None }
    }
}

impl From<&String> for Resource {
    fn from(target: &String) -> Self {
        Self::from(target.clone())
    }
}

impl From<&str> for Resource {
    fn from(target: &str) -> Self {
        Self::from(target.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_is_encoded() {
        let parts = |resource: Resource| resource.into_parts();
        let image = Resource::new(&["images", "a/tags/b", "tags", "v1.0"]);
        assert_eq!(parts(image), ("/api/v1/images/a%2Ftags%2Fb/tags/v1.0".to_owned(), None));
        let listed = Resource::new(&["accounts"]).with("limit", 7).with_some("search", Some("a&b=ü"));
        let listed = listed.with_some("cursor", None::<&str>);
        assert_eq!(parts(listed).0, "/api/v1/accounts?limit=7&search=a%26b%3D%C3%BC");
        assert_eq!(parts(Resource::from("/api/v1/x?y=1").with("z", 2)).0, "/api/v1/x?y=1&z=2");
        let changed = Resource::new(&["accounts", "a\r\nb"]).at(Some(3)).at(None);
        assert_eq!(
            parts(changed),
            ("/api/v1/accounts/a%0D%0Ab".to_owned(), Some((IF_MATCH, "\"3\"".to_owned())))
        );
        assert_eq!(parts(Resource::new(&["x"]).if_absent()).1, Some((IF_NONE_MATCH, "*".to_owned())));
    }
}
