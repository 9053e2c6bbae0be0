//! JSON as the admin API takes it: one small object, said to be JSON, with no member that nobody knows.

use crate::body::RequestBody;
use crate::error::Refusal;
use crate::exchange::Exchange;
use bytes::BytesMut;
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use strata_types::Failure;

/// Most bytes of a body. Every request of this API is a handful of words.
const BYTES_MAX: usize = 64 * 1024;

impl Exchange<'_> {
    /// The body as a value. No bytes at all count as `{}`. The types of requests stand in [`document`](crate::document) and refuse members
    /// that they do not know.
    ///
    /// # Errors
    /// `415` where the request does not say that it is JSON: a form of a foreign web page cannot say so without being asked
    /// first. `413` beyond [`BYTES_MAX`], `400` for anything that is not the value.
    pub(crate) async fn json<T: DeserializeOwned>(&self, body: &mut RequestBody) -> Result<T, Refusal> {
        if !says_json(self.headers) {
            let refusal =
                Refusal::new(Failure::RequestInvalid, "send this with Content-Type: application/json");
            return Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let too_large =
            || Refusal::new(Failure::TooLarge, format!("a request has at most {BYTES_MAX} bytes"));
        if body.declared_len().is_some_and(|len| len > BYTES_MAX as u64) {
            return Err(too_large());
        }
        let mut gathered = BytesMut::new();
        let mut stream = self.stream(body);
        while let Some(chunk) = stream.next().await.transpose()? {
            if gathered.len().saturating_add(chunk.len()) > BYTES_MAX {
                return Err(too_large());
            }
            gathered.extend_from_slice(&chunk);
        }
        parse(&gathered)
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Refusal> {
    let text = if text.is_empty() { b"{}" } else { text };
    // A list would be taken for the members in their order.
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new(Failure::RequestInvalid, "the body is no JSON object"));
    }
    serde_json::from_slice(text)
        .map_err(|error| Refusal::new(Failure::RequestInvalid, format!("the body is not right: {error}")))
}

/// Whether the media type is JSON, whatever its parameters.
fn says_json(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_nobody_knows_is_refused() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Run {
            #[serde(default)]
            dry_run: bool,
        }
        assert_eq!(parse::<Run>(b"").unwrap(), Run { dry_run: false });
        assert_eq!(parse::<Run>(br#"{"dry_run":true}"#).unwrap(), Run { dry_run: true });
        for text in ["x", "[]", "{} {}", r#"{"dry_run":1}"#, r#"{"dryrun":true}"#, "\u{0}"] {
            assert_eq!(parse::<Run>(text.as_bytes()).unwrap_err().code(), "REQUEST_INVALID", "{text}");
        }
    }

    #[test]
    fn only_what_says_so_is_json() {
        let says = |value: &'static str| {
            says_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(says("application/json") && says("Application/JSON; charset=utf-8"));
        for other in ["", "text/plain", "application/json-patch+json", "application/x-www-form-urlencoded"] {
            assert!(!says(other), "{other}");
        }
        assert!(!says_json(&HeaderMap::new()));
    }
}
