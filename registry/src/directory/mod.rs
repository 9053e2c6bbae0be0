//! The directory: accounts with their keys and roles, and registries. All of it is in memory, where requests are decided; the store keeps
//! it over restarts.

mod account;
mod registry;
mod snapshot;
mod time;

pub use account::{Account, AccountKind, Key, State};
pub use registry::{RegistryEntry, RegistryKind};
pub use snapshot::{KeyEntry, Snapshot};
