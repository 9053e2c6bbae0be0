//! The query of a request: `key=value` pairs, percent-decoded exactly once.
//!
//! A `+` stays a `+`: no parameter of the API can hold a space, but media types and versions do hold `+`, and clients forget
//! to encode it. Parameters that nobody asks for are ignored.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The parameters of one request, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// Takes the part behind `?`, as it stands in the request.
    pub fn new(raw: Option<&'a str>) -> Self {
        Self(raw.unwrap_or_default())
    }

    /// The text that it was made of.
    pub(crate) const fn raw(self) -> &'a str {
        self.0
    }

    /// The first value of `key`; empty where the key stands without a value. Bytes that are not UTF-8 become `U+FFFD`, which
    /// no grammar of the API takes.
    pub fn get(&self, key: &str) -> Option<Cow<'a, str>> {
        self.all(key).next()
    }

    /// The query as it stands, without the parameter `key`.
    pub fn without(&self, key: &str) -> String {
        let pairs = self.0.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && decode(name) != key
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    /// All values of `key`, in order.
    pub fn all(&self, key: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(move |(name, _)| *name == key || decode(name) == key)
            .map(|(_, value)| decode(value))
    }
}

/// Decodes; borrows where there is nothing to decode.
fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('%') { percent_decode_str(text).decode_utf8_lossy() } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_decodes_once_and_ignores_the_rest() {
        let query = Query::new(Some(
            "digest=sha256%3Aab&mount&n=5&x=%2525&tag=a&tag=b&origin=h&last=a%2Fb&t=a+b&%6Eame=v",
        ));
        for (key, value) in [
            ("digest", "sha256:ab"),
            ("mount", ""),
            ("n", "5"),
            ("x", "%25"),
            ("tag", "a"),
            ("last", "a/b"),
            ("t", "a+b"),
            ("name", "v"),
        ] {
            assert_eq!(query.get(key).as_deref(), Some(value), "{key}");
        }
        assert_eq!(query.get("missing"), None);
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(Query::new(Some("a=1&%62=2&b&c")).without("b"), "a=1&c");
        assert_eq!(Query::new(None).without("b"), "");
        assert_eq!(Query::new(None).get("n"), None);
        assert_eq!(Query::new(Some("a=%ff")).get("a").as_deref(), Some("\u{fffd}"));
        assert_eq!(Query::new(Some("a=b=c&&=")).get("a").as_deref(), Some("b=c"));
    }
}
