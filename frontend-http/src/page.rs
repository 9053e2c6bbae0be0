//! Pages of lists: `n` and `last` of a query, and the `Link` to the next page (distribution-spec, "Listing tags"; RFC 8288).

use crate::query::Query;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use strata_registry::Page;

/// What stands unencoded in the value of a query parameter.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `n` is not a number of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageError;

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("n must be a whole number, 0 or more")
    }
}

/// Reads `n` and `last`. A number too large to hold is as good as the largest: the registry has a limit of its own.
///
/// # Errors
/// [`PageError`] where `n` is not made of digits.
pub(crate) fn parse(query: Query<'_>) -> Result<Page, PageError> {
    let n = match query.get("n") {
        None => None,
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.parse().unwrap_or(usize::MAX))
        }
        Some(_) => return Err(PageError),
    };
    let last = query.get("last").filter(|last| !last.is_empty()).map(std::borrow::Cow::into_owned);
    Ok(Page { n, last })
}

/// The value of `Link` that leads to the entries after `last`, under the filter of the request. `path` is a path or a URL.
pub(crate) fn link(path: &str, n: Option<usize>, last: &str, filter: Option<(&str, &str)>) -> HeaderValue {
    let n = n.map(|n| format!("n={n}&")).unwrap_or_default();
    let filter = filter.map(|(key, value)| format!("{key}={}&", encode(value))).unwrap_or_default();
    let target = format!("<{path}?{n}{filter}last={}>; rel=\"next\"", encode(last));
    crate::response::header::value(&target)
}

fn encode(value: &str) -> impl fmt::Display {
    utf8_percent_encode(value, VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(n: Option<usize>, last: Option<&str>) -> Page {
        Page { n, last: last.map(str::to_owned) }
    }

    #[test]
    fn reads_pages() {
        for (query, expected) in [
            ("", page(None, None)),
            ("n=0", page(Some(0), None)),
            ("n=5&last=x", page(Some(5), Some("x"))),
            ("last=a%2Fb", page(None, Some("a/b"))),
            ("last=", page(None, None)),
            ("n=99999999999999999999999", page(Some(usize::MAX), None)),
        ] {
            assert_eq!(parse(Query::new(Some(query))), Ok(expected), "{query}");
        }
        for query in ["n=", "n", "n=-1", "n=%2B1", "n=1x", "n=1.5", "n=٣"] {
            assert_eq!(parse(Query::new(Some(query))), Err(PageError), "{query}");
        }
    }

    #[test]
    fn links_to_the_next_page() {
        for (path, n, last, filter, expected) in [
            ("/v2/a/tags/list", Some(5), "x", None, "</v2/a/tags/list?n=5&last=x>; rel=\"next\""),
            ("/v2/_catalog", None, "a/b", None, "</v2/_catalog?last=a%2Fb>; rel=\"next\""),
            (
                "/v2/a/referrers/d",
                None,
                "sha256:0",
                Some(("artifactType", "a/b+c")),
                "</v2/a/referrers/d?artifactType=a%2Fb%2Bc&last=sha256%3A0>; rel=\"next\"",
            ),
        ] {
            assert_eq!(link(path, n, last, filter), expected);
        }
    }
}
