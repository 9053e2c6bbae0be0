//! The directory: accounts with their keys and roles, and registries. All of it is in memory, where requests are decided; the store keeps
//! it over restarts.
//!
//! A change is decided on the store's rows, one change at a time, committed in one batch that expects what it was decided on, and then put
//! into a new snapshot before anybody is told. So whoever was told of a change finds it with his next request.

mod account;
mod accounts;
mod admit;
mod change;
mod deletion;
mod field;
mod first;
mod keys;
mod registries;
mod registry;
mod roles;
mod row;
mod secrets;
mod snapshot;
mod state;
mod time;
mod usage;

pub use account::{Account, AccountKind, Key, State};
pub use accounts::{AccountChange, AccountPage, DIRECTORY_PAGE_MAX, NewAccount, WhoAmI};
pub(crate) use admit::Admitted;
pub use first::{FIRST_ACCOUNT, FirstAdministratorError};
pub use keys::{CreatedKey, KEY_AGE_ADVISED, KEYS_MAX, KeyChange, KeyStatus, NewKey};
pub use registries::{NewRegistry, RegistryChange, RegistryPage};
pub use registry::{RegistryEntry, RegistryKind};
pub use roles::{MemberPage, RoleOn};
pub(crate) use secrets::SECRET_PREFIX;
pub use snapshot::{KeyEntry, Snapshot};
pub(crate) use state::{Directory, behind, wait};
pub(crate) use usage::LastUse;
