//! Scopes: what a client asks a token for, and how a challenge says what a token is missing.
//!
//! Grammar (distribution token specification, "scope"): `scope (" " scope)*`, a scope is `type [ "(" class ")" ] ":" name ":" action
//! ("," action)*`. The name may hold colons, so a scope is cut at its first and at its last one. What is not of the grammar, or
//! names what nothing is ever granted on, asks for nothing and is left out; only what is too much to look at is refused.

use crate::access::{Access, AccessKind, Actions};
use strata_types::RepositoryName;

/// Most bytes of all scopes of a request together.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Most scopes of a request: a token with them stays within what proxies take as a header field.
const SCOPES_MAX: usize = 64;

/// Reads one scope; `None` where it asks for nothing.
fn parse_scope(text: &str) -> Option<Access> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    // `repository(plugin)` and the like: the class is what the content is for.
    let kind = match kind.split_once('(') {
        Some((kind, class)) if class.ends_with(')') => kind,
        Some(_) => return None,
        None => kind,
    };
    let (kind, all) = match (kind, name) {
        ("repository", name) if RepositoryName::parse(name).is_ok() => {
            (AccessKind::Repository, Actions::PULL.and(Actions::PUSH).and(Actions::DELETE))
        }
        ("registry", "catalog" | "admin") => (AccessKind::Registry, Actions::ALL),
        _ => return None,
    };
    let asked = actions.split(',').filter_map(Actions::parse).fold(Actions::NONE, Actions::and);
    let actions = if asked.has(Actions::ALL) { all } else { asked.both(all) };
    (!actions.is_empty()).then(|| Access { kind, name: name.to_owned(), actions })
}

/// Why scopes are not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// More bytes than are looked at.
    #[error("the scopes of a request have at most {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// More scopes than a token can carry.
    #[error("a token is for at most {SCOPES_MAX} repositories")]
    TooMany,
}

/// Reads scopes, each text one or many of them. What is asked for twice is there once, in the order of the first time.
///
/// # Errors
/// [`ScopeError`] where it is too much.
pub fn parse_scopes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Access>, ScopeError> {
    let mut asked: Vec<Access> = Vec::new();
    let mut bytes = 0;
    for text in texts {
        bytes += text.len();
        if bytes > TEXT_BYTES_MAX {
            return Err(ScopeError::TooLong);
        }
        for access in text.split(' ').filter_map(parse_scope) {
            let is_same = |known: &&mut Access| known.kind == access.kind && known.name == access.name;
            if let Some(known) = asked.iter_mut().find(is_same) {
                known.actions = known.actions.and(access.actions);
            } else if asked.len() == SCOPES_MAX {
                return Err(ScopeError::TooMany);
            } else {
                asked.push(access);
            }
        }
    }
    Ok(asked)
}

/// The scopes as one text, as `scope` of a challenge or of an answer holds them.
pub fn scope_text(accesses: &[Access]) -> String {
    let mut text = String::new();
    for access in accesses {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&access.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        scope_text(&parse_scopes([text]).unwrap())
    }

    #[test]
    fn takes_what_clients_ask_for() {
        for (asked, understood) in [
            ("repository:a/b:pull", "repository:a/b:pull"),
            ("repository:a:push,pull", "repository:a:pull,push"),
            ("repository(plugin):a/b:pull", "repository:a/b:pull"),
            ("repository:a:*", "repository:a:pull,push,delete"),
            ("repository:a:pull,pull,x", "repository:a:pull"),
            ("registry:catalog:*", "registry:catalog:*"),
            ("registry:admin:*", "registry:admin:*"),
            ("repository:x/y:push,pull repository:a:pull", "repository:x/y:pull,push repository:a:pull"),
            ("repository:a:pull  repository:a:delete", "repository:a:pull,delete"),
        ] {
            assert_eq!(parsed(asked), understood, "{asked}");
        }
        let two = parse_scopes(["repository:a:pull", "repository:b:push repository:a:push"]).unwrap();
        assert_eq!(scope_text(&two), "repository:a:pull,push repository:b:push");
    }

    #[test]
    fn what_asks_for_nothing_is_left_out() {
        for junk in [
            "",
            " ",
            ":",
            "::",
            ":::",
            "repository",
            "repository:",
            "repository:a",
            "repository:a:",
            "repository::pull",
            "repository:a:PULL",
            "repository:A:pull",
            "repository:../a:pull",
            "repository:a%2fb:pull",
            "repository:a\0:pull",
            "repository:registry.example:5000/a:pull",
            "repository(:a:pull",
            "repository(plugin:a:pull",
            "repository:\u{e4}:pull",
            "registry:catalog:pull",
            "registry:other:*",
            "account:a:*",
            "*:*:*",
        ] {
            assert_eq!(parsed(junk), "", "{junk}");
        }
        assert_eq!(parsed("junk repository:a:pull :::"), "repository:a:pull");
    }

    #[test]
    fn too_much_is_refused() {
        let long = format!("repository:a:{}", "pull,".repeat(TEXT_BYTES_MAX));
        assert_eq!(parse_scopes([long.as_str()]), Err(ScopeError::TooLong));
        let many: Vec<String> = (0..=SCOPES_MAX).map(|i| format!("repository:a{i}:pull")).collect();
        assert_eq!(parse_scopes(many.iter().map(String::as_str)), Err(ScopeError::TooMany));
        assert_eq!(parse_scopes(many.iter().skip(1).map(String::as_str)).unwrap().len(), SCOPES_MAX);
        let same = "repository:a:pull ".repeat(500);
        assert_eq!(parse_scopes([same.as_str()]).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            let asked = parse_scopes([text.as_str()]).unwrap();
            prop_assert!(asked.iter().all(|access| !access.actions.is_empty()));
        }

        #[test]
        fn what_was_understood_reads_as_itself(
            text in "((repository|repository\\(x\\)|registry)(:| )(a|a/b|a:5/b|catalog|admin|\\*)?:(pull|push|delete|\\*|x|,){0,5} ?){0,6}"
        ) {
            let asked = parse_scopes([text.as_str()]).unwrap();
            prop_assert_eq!(parse_scopes([scope_text(&asked).as_str()]).unwrap(), asked);
        }
    }
}
