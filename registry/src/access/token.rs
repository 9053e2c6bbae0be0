//! What a token carries and what a challenge asks for (distribution's token specification: the claim `access`, the parameter `scope`).

use super::action::Rights;
use serde::de::{self, Deserializer};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an [`Access`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKind {
    /// A repository.
    Repository,
    /// The instance: its `catalog`, or `admin` for all that an administrator may.
    Registry,
}

impl AccessKind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repository => "repository",
            Self::Registry => "registry",
        }
    }
}

/// A set of the actions of scopes. Displayed as in a scope: `pull,push`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Actions(u8);

impl Actions {
    /// None.
    pub const NONE: Self = Self(0);
    /// `pull`
    pub const PULL: Self = Self(1);
    /// `push`
    pub const PUSH: Self = Self(2);
    /// `delete`
    pub const DELETE: Self = Self(4);
    /// `*`: whatever there is.
    pub const ALL: Self = Self(8);

    const WORDS: [(Self, &'static str); 4] =
        [(Self::PULL, "pull"), (Self::PUSH, "push"), (Self::DELETE, "delete"), (Self::ALL, "*")];

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether all of `other` are in it.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The action of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(action, _)| *action)
    }

    /// The words, in the order of scopes.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Self::WORDS.into_iter().filter(move |(action, _)| self.has(*action)).map(|(_, word)| word)
    }

    /// What they allow in a repository. Whoever may do something with a repository sees it.
    pub(crate) fn rights(self) -> Rights {
        let of = |action, rights| if self.has(action) { rights } else { Rights::NONE };
        of(Self::PULL, Rights::SEE | Rights::PULL)
            | of(Self::PUSH, Rights::SEE | Rights::PUSH | Rights::CREATE_TAG)
            | of(Self::DELETE, Rights::SEE | Rights::DELETE)
            | of(Self::ALL, Rights::ALL)
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, word) in self.words().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    }
}

impl Serialize for Actions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for word in self.words() {
            list.serialize_element(word)?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Actions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut actions = Self::NONE;
        for word in Vec::<String>::deserialize(deserializer)? {
            let action = Self::parse(&word)
                .ok_or_else(|| de::Error::custom("an action is pull, push, delete or *"))?;
            actions = actions.and(action);
        }
        Ok(actions)
    }
}

/// What a token carries, or would have to carry: actions on one thing. Displayed as a scope: `repository:hy/busybox:pull,push`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: AccessKind,
    /// The name of the repository; `catalog` or `admin` of the instance.
    pub name: String,
    /// What may be done.
    pub actions: Actions,
}

impl Access {
    /// Actions in a repository.
    pub fn repository(name: impl Into<String>, actions: Actions) -> Self {
        Self { kind: AccessKind::Repository, name: name.into(), actions }
    }

    /// `registry:catalog:*`: to list what one may see.
    pub fn catalog() -> Self {
        Self { kind: AccessKind::Registry, name: "catalog".to_owned(), actions: Actions::ALL }
    }

    /// `registry:admin:*`: all that the account may do with the instance.
    pub fn admin() -> Self {
        Self { kind: AccessKind::Registry, name: "admin".to_owned(), actions: Actions::ALL }
    }

    pub(crate) fn is_catalog(&self) -> bool {
        self.is_instance("catalog")
    }

    pub(crate) fn is_admin(&self) -> bool {
        self.is_instance("admin")
    }

    fn is_instance(&self, name: &str) -> bool {
        self.kind == AccessKind::Registry && self.name == name && self.actions.has(Actions::ALL)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind.as_str(), self.name, self.actions)
    }
}

/// What is wrong with the token that was shown (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not one of this instance, or not any more.
    InvalidToken,
    /// It carries less than is needed, and one that carries it can be had.
    InsufficientScope,
}

impl TokenFault {
    /// The word for it, as in a challenge.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// What one who is not let in has to come back with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Challenge {
    /// What a token has to carry; nothing in particular where it is empty.
    pub scopes: Vec<Access>,
    /// What is wrong with the token that was shown; `None` where none was.
    pub why: Option<TokenFault>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_in_a_token_and_writes_as_in_a_scope() {
        let text = r#"{"type":"repository","name":"hy/busybox","actions":["push","pull"]}"#;
        let access: Access = serde_json::from_str(text).unwrap();
        assert_eq!(access, Access::repository("hy/busybox", Actions::PULL.and(Actions::PUSH)));
        assert_eq!(access.to_string(), "repository:hy/busybox:pull,push");
        assert_eq!(
            serde_json::to_string(&access).unwrap(),
            r#"{"type":"repository","name":"hy/busybox","actions":["pull","push"]}"#
        );
        assert_eq!(Access::catalog().to_string(), "registry:catalog:*");
        assert!(serde_json::from_str::<Actions>(r#"["fly"]"#).is_err());
    }
}
