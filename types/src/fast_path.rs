//! [`FastPath`]: which way a part of the server goes where there are two, a fast one and one that works everywhere.
//!
//! No promise rests on a fast path: it saves time, and where the system refuses it, or the operator switched it off, the other
//! way gives the same bytes and the same durability. Engine and frontends report theirs, the root crate logs them at start.

use std::borrow::Cow;

/// What became of one fast path at start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastPath {
    /// The setting that switches it off: `storage.direct-io`.
    pub setting: &'static str,
    /// Whether it is taken.
    pub taken: bool,
    /// Why, as half a sentence for the log.
    pub why: Cow<'static, str>,
}

impl FastPath {
    /// One that is taken.
    pub fn taken(setting: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self { setting, taken: true, why: why.into() }
    }

    /// One that the system does not have here.
    pub fn refused(setting: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self { setting, taken: false, why: why.into() }
    }

    /// One that the operator switched off.
    pub fn switched_off(setting: &'static str) -> Self {
        Self::refused(setting, "switched off")
    }
}
