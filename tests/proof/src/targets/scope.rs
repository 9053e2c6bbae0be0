//! Scopes of a token: no panic, only what something can be granted on, and what was understood reads as itself.

use strata_registry::{AccessKind, Actions, parse_scopes, scope_text};
use strata_types::RepositoryName;

pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(asked) = parse_scopes(text.split('&')) else { return };
    for access in &asked {
        match access.kind {
            AccessKind::Repository => {
                assert!(RepositoryName::parse(&access.name).is_ok(), "{access}");
                assert!(!access.actions.has(Actions::ALL), "{access}");
            }
            AccessKind::Registry => assert!(access.name == "catalog" || access.name == "admin", "{access}"),
        }
        assert!(!access.actions.is_empty());
        assert!(text.contains(&access.name));
    }
    let written = scope_text(&asked);
    assert_eq!(parse_scopes([written.as_str()]).as_deref(), Ok(asked.as_slice()), "{written}");
}
