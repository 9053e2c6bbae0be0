//! What somebody wants to do, and sets of it.

use std::ops::{BitAnd, BitOr};

/// What somebody wants to do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Learn that something is there, and of what kind: HEAD requests, lists, histories.
    See,
    /// Read content.
    Pull,
    /// Add content and move tags with it.
    Push,
    /// Remove content and tags, and undo that.
    Delete,
    /// Point a tag to what is there already.
    CreateTag,
}

impl Action {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::See, Self::Pull, Self::Push, Self::Delete, Self::CreateTag];

    /// Whether it brings something in: then a registry that is not there is another answer than for one who looks.
    pub(crate) const fn adds(self) -> bool {
        matches!(self, Self::Push | Self::CreateTag)
    }
}

/// What somebody wants to do with the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InstanceAction {
    /// Be greeted: show that one is known here.
    Enter,
    /// List what one may see.
    Browse,
    /// Look at how the instance is: metrics, the audit log.
    Watch,
    /// Look after the store: garbage, scrub, backups.
    Operate,
    /// Create, change and delete registries, accounts and policies.
    Manage,
}

impl InstanceAction {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [Self::Enter, Self::Browse, Self::Watch, Self::Operate, Self::Manage];
}

/// How a repository is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Only what a HEAD tells.
    Head,
    /// With the content.
    Get,
}

impl Reading {
    pub(crate) const fn action(self) -> Action {
        match self {
            Self::Head => Action::See,
            Self::Get => Action::Pull,
        }
    }
}

/// A set of actions in one repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rights(u8);

impl Rights {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self =
        Self::SEE.and(Self::PULL).and(Self::PUSH).and(Self::DELETE).and(Self::CREATE_TAG);
    pub(crate) const SEE: Self = Self::of(Action::See);
    pub(crate) const PULL: Self = Self::of(Action::Pull);
    pub(crate) const PUSH: Self = Self::of(Action::Push);
    pub(crate) const DELETE: Self = Self::of(Action::Delete);
    pub(crate) const CREATE_TAG: Self = Self::of(Action::CreateTag);

    pub(crate) const fn of(action: Action) -> Self {
        Self(1 << action as u8)
    }

    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, action: Action) -> bool {
        self.0 & Self::of(action).0 != 0
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
