//! The paths of the admin API, below `/api/v1/`: what the templates of [`Endpoint`] say, taken literally.
//!
//! `{name}` is a repository and takes as many segments as the rest of the template leaves; slashes in it may be encoded, and are not
//! looked at then: `images/a%2Ftags%2Fb` is the image `a/tags/b`, `images/a/tags/b` the tag `b` of the image `a`. Of several templates that
//! fit, the first of the list counts, so that the longer ones stand first. Any other parameter takes one segment. So a path of this
//! API needs its line in the list of endpoints, its arm in `handler/admin.rs` and its operations in `openapi/`, nothing here.

use super::{Endpoint, PathError, Route, check_segments};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::ops::Range;

/// What all of these paths begin with.
pub(super) const PREFIX: &str = "/api/v1/";

impl Endpoint {
    /// Whether it is of the admin API.
    pub(crate) fn is_admin(self) -> bool {
        self.template().starts_with(PREFIX)
    }
}

/// Reads a path that begins with [`PREFIX`].
///
/// # Errors
/// [`PathError`] where it names no endpoint.
pub(super) fn parse(raw: &str) -> Result<Route<'_>, PathError> {
    let (path, segments) = decode(raw.get(PREFIX.len()..).unwrap_or_default())?;
    let admin = Endpoint::ALL.iter().copied().filter(|endpoint| endpoint.is_admin());
    let mut found =
        admin.filter_map(|endpoint| Some((endpoint, fit(endpoint.template(), &path, &segments)?)));
    let (endpoint, Parameters { name, parent, last }) = found.next().ok_or(PathError::Unknown)?;
    if path.get(name.clone()).is_some_and(|name| name.ends_with('/')) {
        return Err(PathError::EmptySegment);
    }
    Ok(Route { endpoint, path: Cow::Owned(path), name, parent, last })
}

/// Undoes percent-encoding and says where each segment stands in the decoded path. Backslashes, `.` and `..` are refused
/// wherever they are, encoded or not: what a proxy in front could read otherwise never reaches a use case.
fn decode(rest: &str) -> Result<(String, Vec<Range<usize>>), PathError> {
    let mut path = String::with_capacity(rest.len());
    let mut segments = Vec::new();
    for (i, segment) in rest.split('/').enumerate() {
        let segment = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::NotUtf8)?;
        if segment.contains('\\') {
            return Err(PathError::EncodedSlash);
        }
        if i > 0 {
            path.push('/');
        }
        let start = path.len();
        path.push_str(&segment);
        segments.push(start..path.len());
    }
    check_segments(&path)?;
    Ok((path, segments))
}

/// Where the parameters of a template stand in a path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    name: Range<usize>,
    parent: Range<usize>,
    last: Range<usize>,
}

/// Lays a template on a path.
fn fit(template: &str, path: &str, segments: &[Range<usize>]) -> Option<Parameters> {
    let wanted: Vec<&str> = template.get(PREFIX.len()..)?.split('/').collect();
    let mut parameters = Parameters::default();
    let mut at = 0;
    for (i, part) in wanted.iter().enumerate() {
        // What the parts behind this one leave of the path.
        let end = segments.len().checked_sub(wanted.len() - i - 1)?;
        let taken = if *part == "{name}" { end.checked_sub(at)? } else { 1 };
        let (first, last) = (segments.get(at)?, segments.get((at + taken).checked_sub(1)?)?);
        let here = first.start..last.end;
        let text = path.get(here.clone())?;
        if *part == "{name}" {
            parameters.name = here;
        } else if part.starts_with('{') {
            if text.is_empty() || text.contains('/') {
                return None;
            }
            parameters.parent = std::mem::replace(&mut parameters.last, here);
        } else if *part != text {
            return None;
        }
        at += taken;
    }
    let is_whole = at == segments.len() && (!template.contains("{name}") || !parameters.name.is_empty());
    is_whole.then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_is_answered(path in "/api/v1/(gc|status|backups|images|tags|artifacts|accounts|keys|history|quarantine|recheck|a|\\.|%2e|%2f|%5c|%|%25|%ff|/){0,9}") {
            if let Ok(route) = Route::parse(&path) {
                prop_assert!(route.endpoint.is_admin());
                prop_assert!(!route.last().contains('/') && !route.parent().contains('/'));
                let parts = route.name().split('/').chain([route.last(), route.parent()]);
                prop_assert!(parts.into_iter().all(|part| !matches!(part, "." | "..")));
            }
        }
    }

    #[test]
    fn templates_are_taken_literally() {
        let fits = |template: &str, path: &str| {
            let (path, segments) = decode(path.strip_prefix(PREFIX).unwrap()).unwrap();
            let found = fit(template, &path, &segments)?;
            Some([found.name, found.parent, found.last].map(|at| path[at].to_owned()).join("|"))
        };
        for (template, path, expected) in [
            ("/api/v1/gc", "/api/v1/gc", Some("||")),
            ("/api/v1/gc", "/api/v1/gc/", None),
            ("/api/v1/gc", "/api/v1/g", None),
            ("/api/v1/gc/{id}", "/api/v1/gc", None),
            ("/api/v1/gc/{id}", "/api/v1/gc/", None),
            ("/api/v1/gc/{id}", "/api/v1/gc/7", Some("||7")),
            ("/api/v1/gc/{id}", "/api/v1/gc/7%2f8", None),
            ("/api/v1/x/{id}/restore", "/api/v1/x/7/restore", Some("||7")),
            ("/api/v1/x/{id}/restore", "/api/v1/x/7/restore/8", None),
            ("/api/v1/x/{id}/restore", "/api/v1/x/7", None),
            ("/api/v1/x/{a}/y/{b}", "/api/v1/x/1/y/2", Some("|1|2")),
            ("/api/v1/r/{name}", "/api/v1/r/a/b/c", Some("a/b/c||")),
            ("/api/v1/r/{name}", "/api/v1/r/a%2Fb%2fc", Some("a/b/c||")),
            ("/api/v1/r/{name}", "/api/v1/r/", None),
            ("/api/v1/r/{name}/t", "/api/v1/r/t", None),
            ("/api/v1/r/{name}/t", "/api/v1/r/t/t", Some("t||")),
            ("/api/v1/r/{name}/t", "/api/v1/r/a/t/t", Some("a/t||")),
            ("/api/v1/r/{name}/t/{tag}", "/api/v1/r/a/b/t/c", Some("a/b||c")),
            ("/api/v1/r/{name}/t/{tag}", "/api/v1/r/a%2Ft%2Fc", None),
            ("/api/v1/r/{name}/t/{tag}", "/api/v1/r/a%2Ft%2Fc/t/d", Some("a/t/c||d")),
        ] {
            assert_eq!(fits(template, path).as_deref(), expected, "{template} {path}");
        }
    }

    #[test]
    fn longer_templates_stand_before_those_that_fit_as_well() {
        for (path, endpoint, name, last) in [
            ("/api/v1/images/a/b", Endpoint::Image, "a/b", ""),
            ("/api/v1/images/a%2Fb", Endpoint::Image, "a/b", ""),
            ("/api/v1/images/a/tags", Endpoint::ImageTags, "a", ""),
            ("/api/v1/images/a%2Ftags", Endpoint::Image, "a/tags", ""),
            ("/api/v1/images/tags/tags", Endpoint::ImageTags, "tags", ""),
            ("/api/v1/images/a/tags/b", Endpoint::ImageTag, "a", "b"),
            ("/api/v1/images/a%2Ftags%2Fb", Endpoint::Image, "a/tags/b", ""),
            ("/api/v1/images/a/tags/b/history", Endpoint::ImageTagHistory, "a", "b"),
            ("/api/v1/images/a/tags/history", Endpoint::ImageTag, "a", "history"),
            ("/api/v1/images/a/artifacts", Endpoint::ImageArtifacts, "a", ""),
            ("/api/v1/images/a/b/artifacts/sha256:0", Endpoint::ImageArtifact, "a/b", "sha256:0"),
        ] {
            let route = Route::parse(path).unwrap();
            assert_eq!((route.endpoint, route.name(), route.last()), (endpoint, name, last), "{path}");
        }
    }

    #[test]
    fn what_no_endpoint_can_be_is_refused() {
        for (path, error) in [
            ("/api/v1/", PathError::EmptySegment),
            ("/api/v1/nothing", PathError::Unknown),
            ("/api/v1/status/", PathError::Unknown),
            ("/api/v1/images/a/b/", PathError::EmptySegment),
            ("/api/v1//status", PathError::EmptySegment),
            ("/api/v1/x/../status", PathError::DotSegment),
            ("/api/v1/x/%2e%2e/status", PathError::DotSegment),
            ("/api/v1/x%2f..%2fstatus", PathError::DotSegment),
            ("/api/v1/x%5cy", PathError::EncodedSlash),
            ("/api/v1/x%ff", PathError::NotUtf8),
            ("/api/v2/status", PathError::Unknown),
            ("/api/v1", PathError::Unknown),
        ] {
            assert_eq!(Route::parse(path).map(|route| route.endpoint), Err(error), "{path}");
        }
        let decoded = Route::parse("/api/v1/%73tatus").map(|route| route.endpoint);
        assert_eq!(decoded, Ok(Endpoint::Status));
    }
}
