//! A form as the endpoint of tokens takes it: `application/x-www-form-urlencoded` (WHATWG URL, "urlencoded parsing"), in a body or in the
//! query of its own GET. Unlike in other queries, a `+` is a space here.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Most bytes of a form: some scopes, a secret or a refresh token, some names.
pub const FORM_BYTES_MAX: usize = 64 * 1024;

/// Most fields that are looked at.
const FIELDS_MAX: usize = 256;

/// The fields of a form, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a>(&'a [u8]);

impl<'a> Form<'a> {
    /// Takes the text of a form.
    pub const fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    /// The value of a field that stands there once; `None` where it is missing or empty.
    ///
    /// # Errors
    /// The name of the field, where it stands there more than once (RFC 6749 §3.2).
    pub fn one<'n>(&self, name: &'n str) -> Result<Option<Cow<'a, str>>, &'n str> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            (_, Some(_)) => Err(name),
        }
    }

    /// All values of a field, in order. Bytes that are not UTF-8 become `U+FFFD`.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + use<'a, 'n> {
        self.0
            .split(|byte| *byte == b'&')
            .take(FIELDS_MAX)
            .map(|pair| {
                let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                let (key, value) = pair.split_at(at);
                (key, value.get(1..).unwrap_or_default())
            })
            .filter(move |(key, _)| decode(key) == name)
            .map(|(_, value)| decode(value))
    }
}

fn decode(text: &[u8]) -> Cow<'_, str> {
    if text.contains(&b'+') {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        return Cow::Owned(percent_decode(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_as_browsers_encode() {
        let form = Form::new(
            b"grant_type=password&username=a%40b&password=x%2By+z%26&scope=repository%3Aa%3Apull+repository%3Ab%3Apush&empty=&bare&a=1&a=2&x=%ff&%61b=c",
        );
        for (name, value) in [
            ("grant_type", Some("password")),
            ("username", Some("a@b")),
            ("password", Some("x+y z&")),
            ("scope", Some("repository:a:pull repository:b:push")),
            ("empty", None),
            ("bare", None),
            ("missing", None),
            ("x", Some("\u{fffd}")),
            ("ab", Some("c")),
        ] {
            assert_eq!(form.one(name).unwrap().as_deref(), value, "{name}");
        }
        assert_eq!(form.one("a"), Err("a"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(Form::new(b"").one("a"), Ok(None));
        let many = "b=1&".repeat(FIELDS_MAX) + "a=1";
        assert_eq!(Form::new(many.as_bytes()).one("a"), Ok(None), "more fields than are looked at");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..80), name in ".{0,5}") {
            let form = Form::new(&bytes);
            prop_assert!(form.all(&name).count() <= FIELDS_MAX);
            let _ = form.one(&name);
        }

        #[test]
        fn what_was_sent_is_read(value in ".{1,20}") {
            let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC).to_string();
            let text = format!("a=b&value={encoded}&c=d");
            let form = Form::new(text.as_bytes());
            let read = form.one("value").unwrap();
            prop_assert_eq!(read.as_deref(), Some(value.as_str()));
        }
    }
}
