//! Conditional requests on content (RFC 9110 §13): `If-Match`, `If-None-Match`, `If-Range` against a strong entity tag.
//!
//! Content has no modification date, so the conditions that compare dates are ignored, as §13.1.3 and §13.1.4 demand. An entity
//! tag is the quoted digest; the bare digest is taken too, because other registries take it. Pure.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

/// What the conditions of a GET or HEAD say about content that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Send it.
    Proceed,
    /// The client has it: `304`.
    NotModified,
    /// The client wanted something else: `412`.
    Failed,
}

/// Whether there is anything for [`judge`] to judge.
pub fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_MATCH) || headers.contains_key(IF_NONE_MATCH)
}

/// Judges `If-Match`, then `If-None-Match` (the order of §13.2.2). `tag` is the entity tag without its quotes.
pub fn judge(headers: &HeaderMap, tag: &str) -> Verdict {
    if headers.contains_key(IF_MATCH)
        && !any_matches(headers, &IF_MATCH, |given| given.strong && given.opaque == tag)
    {
        return Verdict::Failed;
    }
    if any_matches(headers, &IF_NONE_MATCH, |given| given.opaque == tag) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether a `Range` header counts: there is no `If-Range`, or it names this very content (§13.1.5).
pub fn range_applies(headers: &HeaderMap, tag: &str) -> bool {
    !headers.contains_key(IF_RANGE)
        || any_matches(headers, &IF_RANGE, |given| given.strong && given.opaque == tag)
}

/// An entity tag of a header; `*` has the opaque text `*` and no quotes.
pub(crate) struct EntityTag<'a> {
    pub(crate) strong: bool,
    pub(crate) opaque: &'a str,
}

/// Whether `*` or any entity tag of the header's lines satisfies `matches`.
fn any_matches(headers: &HeaderMap, name: &HeaderName, matches: impl Fn(&EntityTag<'_>) -> bool) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|line| {
        let star = *name != IF_RANGE && line.trim() == "*";
        star || entity_tags(line).any(|given| matches(&given))
    })
}

/// Reads a comma-separated list of entity tags. Commas within quotes do not divide.
pub(crate) fn entity_tags(line: &str) -> impl Iterator<Item = EntityTag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let (strong, text) = rest.strip_prefix("W/").map_or((true, rest), |text| (false, text));
        let (opaque, behind) = match text.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => text.split_once(',').unwrap_or((text, "")),
        };
        rest = behind;
        Some(EntityTag { strong, opaque: opaque.trim_end_matches([' ', '\t']) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TAG: &str = "sha256:aa";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn if_none_match_compares_weakly() {
        for (value, verdict) in [
            ("\"sha256:aa\"", Verdict::NotModified),
            ("sha256:aa", Verdict::NotModified),
            ("W/\"sha256:aa\"", Verdict::NotModified),
            ("*", Verdict::NotModified),
            ("\"x\", \"sha256:aa\"", Verdict::NotModified),
            ("\"x,y\" ,\"sha256:aa\"", Verdict::NotModified),
            ("x , sha256:aa ", Verdict::NotModified),
            ("\"sha256:bb\"", Verdict::Proceed),
            ("\"a,sha256:aa,b\"", Verdict::Proceed),
            ("", Verdict::Proceed),
            ("\"sha256:aa", Verdict::NotModified),
        ] {
            assert_eq!(judge(&headers(&[(IF_NONE_MATCH, value)]), TAG), verdict, "{value}");
        }
    }

    #[test]
    fn if_match_compares_strongly_and_comes_first() {
        for (value, verdict) in [
            ("\"sha256:aa\"", Verdict::Proceed),
            ("*", Verdict::Proceed),
            ("W/\"sha256:aa\"", Verdict::Failed),
            ("\"sha256:bb\"", Verdict::Failed),
            ("", Verdict::Failed),
        ] {
            assert_eq!(judge(&headers(&[(IF_MATCH, value)]), TAG), verdict, "{value}");
        }
        let both = headers(&[(IF_MATCH, "\"sha256:bb\""), (IF_NONE_MATCH, "\"sha256:aa\"")]);
        assert_eq!(judge(&both, TAG), Verdict::Failed);
        assert_eq!(judge(&HeaderMap::new(), TAG), Verdict::Proceed);
    }

    #[test]
    fn if_range_needs_this_very_content() {
        assert!(range_applies(&HeaderMap::new(), TAG));
        for (value, applies) in [
            ("\"sha256:aa\"", true),
            ("W/\"sha256:aa\"", false),
            ("\"sha256:bb\"", false),
            ("*", false),
            ("Sat, 29 Oct 1994 19:43:31 GMT", false),
        ] {
            assert_eq!(range_applies(&headers(&[(IF_RANGE, value)]), TAG), applies, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_judged(value in "[ -~\\t]{0,60}") {
            let map = headers(&[(IF_MATCH, &value), (IF_NONE_MATCH, &value), (IF_RANGE, &value)]);
            let _ends = (judge(&map, TAG), range_applies(&map, TAG), entity_tags(&value).count());
        }
    }
}
