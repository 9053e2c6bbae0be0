//! What a key is narrowed to: some repositories, some actions. It takes away from the account's roles and never adds to them.

use super::action::Rights;
use super::token::Actions;
use serde::{Deserialize, Serialize};
use strata_types::RepositoryName;

/// Most patterns of one key.
pub const PATTERNS_MAX: usize = 32;
/// Longest pattern, bytes.
pub const PATTERN_BYTES_MAX: usize = 255;

/// The repositories and actions that a key is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowing {
    /// Patterns of whole repository names, one of which has to fit. `*` stands for any characters within a segment, `**` for any
    /// characters; all others stand for themselves. At least 1, at most [`PATTERNS_MAX`].
    pub repositories: Vec<String>,
    /// Some of pull, push and delete.
    pub actions: Actions,
}

impl Narrowing {
    /// Why it cannot be used; `None` where it can.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.repositories.is_empty() || self.repositories.len() > PATTERNS_MAX {
            return Some(format!("a key is narrowed by 1 to {PATTERNS_MAX} patterns of repository names"));
        }
        if self.actions == Actions::NONE || self.actions.has(Actions::ALL) {
            return Some("a key is narrowed to some of the actions pull, push and delete".to_owned());
        }
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/*".contains(&b);
        let fits = |pattern: &&String| {
            (1..=PATTERN_BYTES_MAX).contains(&pattern.len()) && pattern.bytes().all(known)
        };
        let bad = self.repositories.iter().find(|pattern| !fits(pattern))?;
        Some(format!(
            "{:?} is no pattern of repository names: it has at most {PATTERN_BYTES_MAX} lower-case letters, digits and . _ - / *",
            bad.chars().take(PATTERN_BYTES_MAX).collect::<String>()
        ))
    }

    /// What it leaves in a repository.
    pub(crate) fn rights_in(&self, repository: &RepositoryName) -> Rights {
        let name = repository.as_str().as_bytes();
        if self.repositories.iter().any(|pattern| matches(pattern.as_bytes(), name)) {
            self.actions.rights()
        } else {
            Rights::NONE
        }
    }
}

/// Whether the whole name is of the pattern. Takes time of at most the product of the two lengths: the last wildcard of each kind is all
/// that is ever gone back to.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where to go on after each wildcard that was passed last, and up to where it has eaten the name.
    let mut star: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                let run = pattern.iter().skip(p).take_while(|b| **b == b'*').count();
                p += run;
                if run == 1 {
                    star = Some((p, n));
                } else {
                    (double, star) = (Some((p, n)), None);
                }
                continue;
            }
            Some(b) if name.get(n) == Some(b) => {
                (p, n) = (p + 1, n + 1);
                continue;
            }
            None if n == name.len() => return true,
            _ => {}
        }
        // One more byte for the nearest wildcard that takes it.
        if let Some((after, eaten)) = star
            && name.get(eaten).is_some_and(|b| *b != b'/')
        {
            star = Some((after, eaten + 1));
            (p, n) = (after, eaten + 1);
        } else if let Some((after, eaten)) = double
            && eaten < name.len()
        {
            (double, star) = (Some((after, eaten + 1)), None);
            (p, n) = (after, eaten + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_whole_names() {
        for (pattern, name, fits) in [
            ("hy/busybox", "hy/busybox", true),
            ("hy/busybox", "hy/busybox2", false),
            ("hy/busybox", "hy/busybo", false),
            ("hy/*", "hy/busybox", true),
            ("hy/*", "hy/a/b", false),
            ("hy/**", "hy/a/b", true),
            ("hy/**", "hz/a", false),
            ("*", "busybox", true),
            ("*", "hy/busybox", false),
            ("**", "hy/a/b/c", true),
            ("*/*", "hy/busybox", true),
            ("*/base-*", "hy/base-1", true),
            ("*/base-*", "hy/x/base-1", false),
            ("**/base-*", "hy/x/base-1", true),
            ("**/b*e/*", "a/b/be/c/bxe/d", true),
            ("**/b*e/*", "a/b/be/c/bxf/d", false),
            ("h*y*/b", "hxyxy/b", true),
            ("a**a", "a", false),
            ("a**a", "aa", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn many_wildcards_cost_little() {
        let pattern = "*a".repeat(PATTERN_BYTES_MAX / 2);
        let name = "a".repeat(100) + "b";
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
        let pattern = "**a".repeat(PATTERN_BYTES_MAX / 3);
        assert!(!matches(pattern.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn faults_are_said() {
        let narrowing = |patterns: &[&str], actions| Narrowing {
            repositories: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            actions,
        };
        assert_eq!(narrowing(&["hy/*", "x"], Actions::PULL).fault(), None);
        for bad in [
            narrowing(&[], Actions::PULL),
            narrowing(&["x"; PATTERNS_MAX + 1], Actions::PULL),
            narrowing(&["x"], Actions::NONE),
            narrowing(&["x"], Actions::ALL),
            narrowing(&[""], Actions::PULL),
            narrowing(&["Hy/*"], Actions::PULL),
            narrowing(&["hy/?"], Actions::PULL),
            narrowing(&["hy/\u{e4}"], Actions::PULL),
            narrowing(&["hy/\0"], Actions::PULL),
        ] {
            assert!(bad.fault().is_some(), "{bad:?}");
        }
    }
}
