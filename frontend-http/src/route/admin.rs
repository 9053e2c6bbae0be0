//! The paths of the operator's API, below `/api/v1/`: what the templates of [`Endpoint`] say, taken literally.
//!
//! `{name}` is a repository and takes the whole rest, slashes and all; encoded slashes are slashes there. Any other parameter takes one
//! segment. So a path of this API needs its line in the list of endpoints and its arm in `handler/admin.rs`, nothing here.

use super::{Endpoint, PathError, Route, check_segments};
use percent_encoding::percent_decode_str;
use std::ops::Range;

/// What all of these paths begin with.
pub(super) const PREFIX: &str = "/api/v1/";

impl Endpoint {
    /// Whether it is the operator's.
    pub(crate) fn is_admin(self) -> bool {
        self.template().starts_with(PREFIX)
    }
}

/// Reads a path that begins with [`PREFIX`].
///
/// # Errors
/// [`PathError`] where it names no endpoint.
pub(super) fn parse(raw: &str) -> Result<Route<'_>, PathError> {
    let path = percent_decode_str(raw).decode_utf8().map_err(|_| PathError::NotUtf8)?;
    if path.contains('\\') {
        return Err(PathError::EncodedSlash);
    }
    check_segments(path.get(PREFIX.len()..).unwrap_or_default())?;
    let admin = Endpoint::ALL.iter().copied().filter(|endpoint| endpoint.is_admin());
    let mut found = admin.filter_map(|endpoint| Some((endpoint, fit(endpoint.template(), &path)?)));
    let (endpoint, Parameters { name, last }) = found.next().ok_or(PathError::Unknown)?;
    Ok(Route { endpoint, path, name, last })
}

/// Where the parameters of a template stand in a path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    name: Range<usize>,
    last: Range<usize>,
}

/// Lays a template on a path.
fn fit(template: &str, path: &str) -> Option<Parameters> {
    let mut parameters = Parameters::default();
    let mut at = 0;
    let mut wanted = template.split('/').peekable();
    while let Some(part) = wanted.next() {
        let rest = path.get(at..)?;
        if part == "{name}" {
            parameters.name = at..path.len();
            return (!rest.is_empty()).then_some(parameters);
        }
        let (segment, more) = rest.split_once('/').map_or((rest, false), |(segment, _)| (segment, true));
        let here = at..at + segment.len();
        if part.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            parameters.last = here.clone();
        } else if part != segment {
            return None;
        }
        if more != wanted.peek().is_some() {
            return None;
        }
        at = here.end + 1;
    }
    Some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_path_is_answered(path in "/api/v1/(gc|status|backups|quarantine|recheck|a|\\.|%2e|%2f|%5c|%|%25|%ff|/){0,9}") {
            if let Ok(route) = Route::parse(&path) {
                prop_assert!(route.endpoint.is_admin());
                prop_assert!(!route.last().contains('/'));
                let parts = route.name().split('/').chain([route.last()]);
                prop_assert!(parts.into_iter().all(|part| !matches!(part, "." | "..")));
            }
        }
    }

    #[test]
    fn templates_are_taken_literally() {
        let fits = |template, path| {
            fit(template, path).map(|found| (path[found.name].to_owned(), path[found.last].to_owned()))
        };
        let none = (String::new(), String::new());
        assert_eq!(fits("/api/v1/gc", "/api/v1/gc"), Some(none));
        assert_eq!(fits("/api/v1/gc", "/api/v1/gc/"), None);
        assert_eq!(fits("/api/v1/gc", "/api/v1/g"), None);
        assert_eq!(fits("/api/v1/gc/{id}", "/api/v1/gc"), None);
        assert_eq!(fits("/api/v1/gc/{id}", "/api/v1/gc/"), None);
        assert_eq!(fits("/api/v1/gc/{id}", "/api/v1/gc/7"), Some((String::new(), "7".into())));
        assert_eq!(fits("/api/v1/x/{id}/restore", "/api/v1/x/7/restore"), Some((String::new(), "7".into())));
        assert_eq!(fits("/api/v1/x/{id}/restore", "/api/v1/x/7/restore/8"), None);
        assert_eq!(fits("/api/v1/x/{id}/restore", "/api/v1/x/7"), None);
        assert_eq!(fits("/api/v1/r/{name}", "/api/v1/r/a/b/c"), Some(("a/b/c".into(), String::new())));
        assert_eq!(fits("/api/v1/r/{name}", "/api/v1/r/"), None);
    }

    #[test]
    fn what_no_endpoint_can_be_is_refused() {
        for (path, error) in [
            ("/api/v1/", PathError::EmptySegment),
            ("/api/v1/nothing", PathError::Unknown),
            ("/api/v1/status/", PathError::Unknown),
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
