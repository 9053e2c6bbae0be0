//! `Authorization`: from the header field to [`Credentials`] (RFC 9110 §11.6.2, RFC 7617, RFC 6750 §2.1).
//!
//! Grammar: `scheme 1*SP token68`. Of `Basic` the Base64 (with or without its padding) holds `id ":" secret` in UTF-8, the id without a
//! colon. What has not this form is [`Authorization::Unreadable`] and never an error of its own: the client is told to authenticate.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use std::fmt;
use strata_registry::Credentials;

/// Longest field that is looked at.
const FIELD_BYTES_MAX: usize = 32 * 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request has in place of credentials. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization<'a> {
    /// No field, or one that says nothing.
    None,
    /// `Basic`.
    Basic {
        /// Before the first colon.
        id: String,
        /// Behind it.
        secret: String,
    },
    /// `Bearer`.
    Bearer(&'a str),
    /// Anything else, or more than one field.
    Unreadable,
}

impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.credentials().fmt(f)
    }
}

impl<'a> Authorization<'a> {
    /// What the request with these header fields shows.
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::None,
            (Some(field), None) => Self::parse(field.as_bytes()),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    /// Reads the value of the field.
    pub fn parse(field: &'a [u8]) -> Self {
        Self::read(field).unwrap_or(Self::Unreadable)
    }

    fn read(field: &'a [u8]) -> Option<Self> {
        if field.len() > FIELD_BYTES_MAX {
            return None;
        }
        let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\t']);
        let (scheme, value) = text.split_once(' ')?;
        let value = value.trim_start_matches(' ');
        let is_token68 =
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        if !is_token68 {
            return None;
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Bearer(value));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(BASE64.decode(value).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        // Some clients send an empty name and an empty password where they have none.
        if id.is_empty() && secret.is_empty() {
            return Some(Self::None);
        }
        let has_control = |text: &str| text.chars().any(char::is_control);
        (!has_control(id) && !has_control(secret))
            .then(|| Self::Basic { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The same, as the registry takes it.
    pub fn credentials(&self) -> Credentials<'_> {
        match self {
            Self::None => Credentials::None,
            Self::Basic { id, secret } => Credentials::Basic { id, secret },
            Self::Bearer(token) => Credentials::Bearer(token),
            Self::Unreadable => Credentials::Unreadable,
        }
    }
}

/// The token of a field that seems to hold one, not looked at any further: to be looked for among those that were verified.
pub fn token_to_find(field: &[u8]) -> Option<&str> {
    const SCHEME: &[u8] = b"bearer ";
    let (scheme, token) = field.split_at_checked(SCHEME.len())?;
    if scheme.eq_ignore_ascii_case(SCHEME) { std::str::from_utf8(token).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn basic(id: &str, secret: &str) -> Authorization<'static> {
        Authorization::Basic { id: id.into(), secret: secret.into() }
    }

    #[test]
    fn reads_what_clients_send() {
        for (field, read) in [
            ("Bearer abc.def-_~+/==", Authorization::Bearer("abc.def-_~+/==")),
            ("bearer   abc", Authorization::Bearer("abc")),
            ("BEARER abc ", Authorization::Bearer("abc")),
            ("Basic YTpi", basic("a", "b")),
            ("basic YTpi", basic("a", "b")),
            ("Basic YTpiOmM=", basic("a", "b:c")),
            ("Basic YTpiOmM", basic("a", "b:c")),
            ("Basic YTo=", basic("a", "")),
            ("Basic OmI=", basic("", "b")),
            ("Basic Og==", Authorization::None),
            ("Basic w6Q6w7Y=", basic("\u{e4}", "\u{f6}")),
        ] {
            assert_eq!(Authorization::parse(field.as_bytes()), read, "{field}");
        }
    }

    #[test]
    fn everything_else_is_unreadable() {
        for field in [
            "",
            " ",
            "Basic",
            "Basic ",
            "Bearer",
            "Bearer ",
            "YTpi",
            "Basic  ",
            "Basic YT pi",
            "Basic YTpi,YTpi",
            "Basic !!!!",
            "Basic YWI=",
            "Basic /w==",
            "Basic /zph",
            "Basic AToA",
            "Basic YTpiCg==",
            "Digest username=x",
            "Bearer a b",
            "Bearer a,b",
            "Bearer \u{e4}",
            "Bearer \"a\"",
            "Bearer\ta",
            "Bearer a\tb",
            "Basic YTpi=====x",
            ", Bearer a",
            "Bearer: a",
        ] {
            assert_eq!(Authorization::parse(field.as_bytes()), Authorization::Unreadable, "{field}");
        }
        assert_eq!(Authorization::parse(b"Bearer \xff"), Authorization::Unreadable);
        let long = format!("Bearer {}", "a".repeat(FIELD_BYTES_MAX));
        assert_eq!(Authorization::parse(long.as_bytes()), Authorization::Unreadable);
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Authorization::of(&headers), Authorization::None);
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(Authorization::of(&headers), Authorization::Bearer("a"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(Authorization::of(&headers), Authorization::Unreadable);
    }

    #[test]
    fn a_token_is_found_by_its_text() {
        assert_eq!(token_to_find(b"Bearer a.b.c"), Some("a.b.c"));
        assert_eq!(token_to_find(b"bEARER a"), Some("a"));
        for field in [&b"Basic YTpi"[..], b"Bearer", b"", b"Bearer \xff", b"Bearers a"] {
            assert_eq!(token_to_find(field), None);
        }
    }

    #[test]
    fn shows_no_secret() {
        let fields = [format!("Basic {}", BASE64.encode("name:very-secret")), "Bearer very-secret".into()];
        for field in fields {
            let read = Authorization::parse(field.as_bytes());
            assert!(!format!("{read:?} {:?}", read.credentials()).contains("very-secret"), "{read:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            Authorization::parse(&bytes);
            let field = format!("Basic {}", BASE64.encode(&bytes));
            if let Authorization::Basic { id, .. } = Authorization::parse(field.as_bytes()) {
                prop_assert!(!id.contains(':'));
            }
        }

        #[test]
        fn what_was_sent_is_read(id in "[^:\\p{C}]{1,20}", secret in "[^\\p{C}]{0,20}") {
            let field = format!("Basic {}", BASE64.encode(format!("{id}:{secret}")));
            prop_assert_eq!(Authorization::parse(field.as_bytes()), basic(&id, &secret));
        }
    }
}
