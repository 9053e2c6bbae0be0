//! Who may do what: roles, what a key is narrowed to, what a token carries, and the one place that decides.

mod action;
mod authorize;
mod decide;
mod narrowing;
mod role;
mod token;

pub use action::Reading;
pub(crate) use action::{Action, InstanceAction, Rights};
pub(crate) use decide::Denial;
pub use narrowing::{Narrowing, PATTERN_BYTES_MAX, PATTERNS_MAX};
pub use role::{Grants, Role};
pub use token::{Access, AccessKind, Actions, Challenge, TokenFault};
