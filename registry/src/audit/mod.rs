//! The audit log: what was done, by whom and from where. It is the event log of the store, read by its meaning: each change writes its
//! entry in the commit that makes it, so that none is done without.

mod entry;
mod filter;
mod read;
mod refusal;
mod retention;

pub use entry::AuditEntry;
pub use filter::AuditFilter;
pub use read::{AUDIT_ENTRIES_MAX, AuditPage};
pub(crate) use refusal::{Attempt, Refusals};
