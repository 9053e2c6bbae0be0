//! `WWW-Authenticate`: what one who is not let in has to come back with (RFC 9110 §11.6.1, RFC 6750 §3, distribution token
//! specification "Challenge").
//!
//! Clients read these with regular expressions: every parameter is quoted, none is empty, and the realm has no query, as some append one.

use crate::query::Query;
use crate::response::header;
use crate::route::{Endpoint, Route};
use http::{HeaderValue, Method};
use std::fmt::Write as _;
use strata_registry::{Access, Actions, Challenge, RepositoryName, scope_text};

/// The path of the endpoint that gives tokens.
pub(crate) const TOKEN_PATH: &str = "/token";

/// `Bearer realm="…",service="…"[,scope="…"][,error="…"]`. `base` is scheme, host and path that the client reaches this server by; `None`
/// where it named no host, and gets the path alone.
pub(crate) fn bearer(base: Option<&str>, service: &str, challenge: &Challenge) -> HeaderValue {
    let base = base.unwrap_or_default();
    let mut text =
        format!("Bearer realm=\"{}{TOKEN_PATH}\",service=\"{}\"", quotable(base), quotable(service));
    let scope = scope_text(&challenge.scopes);
    if !scope.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, ",scope=\"{}\"", quotable(&scope));
    }
    if let Some(why) = challenge.why {
        let _ = write!(text, ",error=\"{}\"", why.as_str());
    }
    header::value(&text)
}

/// `Basic realm="…"`, for the endpoint of tokens itself.
pub(crate) fn basic(service: &str) -> HeaderValue {
    header::value(&format!("Basic realm=\"{}\"", quotable(service)))
}

/// The text without what would end its quotes.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

/// What a token has to carry for a request: what the use case said, or, where the credentials were refused before it could say anything, what
/// the methods of the API need, each. A mount needs the right to the other repository as well: without it, it becomes an upload.
pub(crate) fn complete(challenge: &mut Challenge, route: &Route<'_>, method: &Method, query: Query<'_>) {
    if challenge.scopes.is_empty() {
        challenge.scopes.extend(needed(route, method));
    }
    if route.endpoint == Endpoint::Uploads
        && query.get("mount").is_some()
        && let Some(from) = query.get("from").filter(|from| **from != *route.name())
        && RepositoryName::parse(&from).is_ok()
    {
        let pull = Access::repository(from, Actions::PULL);
        if !challenge.scopes.contains(&pull) {
            challenge.scopes.push(pull);
        }
    }
}

fn needed(route: &Route<'_>, method: &Method) -> Option<Access> {
    match route.endpoint {
        Endpoint::Catalog => return Some(Access::catalog()),
        endpoint if endpoint.is_admin() || endpoint == Endpoint::Metrics => return Some(Access::admin()),
        _ => RepositoryName::parse(route.name()).ok()?,
    };
    let actions = match method.as_str() {
        "GET" | "HEAD" => Actions::PULL,
        "DELETE" if route.endpoint != Endpoint::Upload => Actions::DELETE,
        _ => Actions::PULL.and(Actions::PUSH),
    };
    Some(Access::repository(route.name(), actions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_registry::TokenFault;

    #[test]
    fn is_written_as_clients_read_it() {
        let pull = Access::repository("a/b", Actions::PULL.and(Actions::PUSH));
        let both = vec![pull.clone(), Access::repository("c", Actions::PULL)];
        let challenge = |scopes, why| Challenge { scopes, why };
        for (base, challenge, text) in [
            (
                Some("https://h:5000"),
                challenge(vec![], None),
                r#"Bearer realm="https://h:5000/token",service="strata""#,
            ),
            (
                Some("https://h"),
                challenge(vec![pull], Some(TokenFault::InsufficientScope)),
                r#"Bearer realm="https://h/token",service="strata",scope="repository:a/b:pull,push",error="insufficient_scope""#,
            ),
            (
                None,
                challenge(both, Some(TokenFault::InvalidToken)),
                r#"Bearer realm="/token",service="strata",scope="repository:a/b:pull,push repository:c:pull",error="invalid_token""#,
            ),
        ] {
            assert_eq!(bearer(base, "strata", &challenge), text);
        }
        assert_eq!(
            bearer(Some("http://h\"x\r\n"), "s\\\"", &challenge(vec![], None)),
            r#"Bearer realm="http://hx/token",service="s""#
        );
        assert_eq!(basic("strata"), r#"Basic realm="strata""#);
    }

    #[test]
    fn each_method_says_what_it_needs() {
        const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let needs = |method: &str, target: &str| {
            let (path, query) =
                target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
            let route = Route::parse(path).unwrap();
            let mut challenge = Challenge::default();
            complete(&mut challenge, &route, &method.parse().unwrap(), Query::new(query));
            scope_text(&challenge.scopes)
        };
        let blob = format!("/v2/a/b/blobs/{DIGEST}");
        for (method, target, scope) in [
            ("GET", "/v2/", ""),
            ("GET", "/v2/_catalog", "registry:catalog:*"),
            ("GET", "/metrics", "registry:admin:*"),
            ("GET", "/api/v1/status", "registry:admin:*"),
            ("POST", "/api/v1/gc", "registry:admin:*"),
            ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
            ("HEAD", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
            ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
            ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
            ("GET", &blob, "repository:a/b:pull"),
            ("DELETE", &blob, "repository:a/b:delete"),
            ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
            (
                "POST",
                "/v2/a/b/blobs/uploads/?mount=x&from=c/d",
                "repository:a/b:pull,push repository:c/d:pull",
            ),
            ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=a/b", "repository:a/b:pull,push"),
            ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=../x", "repository:a/b:pull,push"),
            ("POST", "/v2/a/b/blobs/uploads/?from=c/d", "repository:a/b:pull,push"),
            ("PATCH", "/v2/a/b/blobs/uploads/7", "repository:a/b:pull,push"),
            ("PUT", "/v2/a/b/blobs/uploads/7", "repository:a/b:pull,push"),
            ("GET", "/v2/a/b/blobs/uploads/7", "repository:a/b:pull"),
            ("DELETE", "/v2/a/b/blobs/uploads/7", "repository:a/b:pull,push"),
            ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
            ("GET", "/v2/A/tags/list", ""),
        ] {
            assert_eq!(needs(method, target), scope, "{method} {target}");
        }
    }
}
