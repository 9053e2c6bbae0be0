//! The directory's rows in the store: JSON, each with the version of its form.
//!
//! `account/NAME`, `registry/NAME`, `closing/NAME` (a registry that is being deleted: its row, put aside), `used/KEYID` (when a key was used
//! last). What is written here stands in `docs/format.md`.

use super::account::{Account, AccountKind, Key, State};
use super::registry::RegistryEntry;
use super::time;
use crate::access::{Grants, Narrowing};
use crate::error::RegistryError;
use crate::registry::Result;
use crate::secret::Secret;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use strata_engine::UnixMillis;

/// The version of the rows' form.
const VERSION: u32 = 1;
/// Most bytes of a row: less than the store takes.
const ROW_BYTES_MAX: usize = 60 * 1024;

pub(super) const ACCOUNTS: &[u8] = b"account/";
pub(super) const REGISTRIES: &[u8] = b"registry/";
pub(super) const CLOSING: &[u8] = b"closing/";
pub(super) const USES: &[u8] = b"used/";

/// The key of a row.
pub(super) fn key(prefix: &[u8], name: &str) -> Vec<u8> {
    [prefix, name.as_bytes()].concat()
}

/// The name that a row's key ends with.
pub(super) fn name_of<'k>(prefix: &[u8], key: &'k [u8]) -> Result<&'k str> {
    let name = key.strip_prefix(prefix).and_then(|name| std::str::from_utf8(name).ok());
    name.ok_or_else(|| RegistryError::corrupt("a row of the directory has no name".to_owned()))
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    row: T,
}

#[derive(Serialize, Deserialize)]
struct AccountRow {
    kind: AccountKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    state: State,
    #[serde(with = "time")]
    created_at: UnixMillis,
    created_by: String,
    revision: u64,
    roles: Grants,
    keys: Vec<KeyRow>,
}

#[derive(Serialize, Deserialize)]
struct KeyRow {
    id: String,
    hash: String,
    refresh_secret: String,
    state: State,
    #[serde(with = "time")]
    created_at: UnixMillis,
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    expires_at: Option<UnixMillis>,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    narrowing: Option<Narrowing>,
}

/// The row of an account.
///
/// # Errors
/// [`RegistryError::FieldInvalid`] where it has so many roles and patterns that a row cannot hold them.
pub(super) fn encode_account(account: &Account) -> Result<Bytes> {
    let keys = account.keys.iter().map(|key| KeyRow {
        id: key.id.to_string(),
        hash: key.hash.expose().to_owned(),
        refresh_secret: hex(&key.refresh_secret),
        state: key.state,
        created_at: key.created_at,
        expires_at: key.expires_at,
        description: key.description.clone(),
        narrowing: key.narrowing.as_deref().cloned(),
    });
    let row = AccountRow {
        kind: account.kind,
        email: account.email.clone(),
        state: account.state,
        created_at: account.created_at,
        created_by: account.created_by.clone(),
        revision: account.revision,
        roles: (*account.roles).clone(),
        keys: keys.collect(),
    };
    let bytes = encode(row)?;
    if bytes.len() > ROW_BYTES_MAX {
        let why = "the account has more roles and patterns than one account can have".to_owned();
        return Err(RegistryError::FieldInvalid { field: "roles", why });
    }
    Ok(bytes)
}

pub(super) fn decode_account(name: &str, bytes: &[u8]) -> Result<Account> {
    let row: AccountRow = decode("account", name, bytes)?;
    let keys = row.keys.into_iter().map(|key| {
        Ok(Key {
            id: key.id.into(),
            hash: Secret::new(key.hash),
            refresh_secret: unhex(&key.refresh_secret)
                .ok_or_else(|| RegistryError::corrupt(format!("account {name}: a secret is not 32 bytes")))?,
            state: key.state,
            created_at: key.created_at,
            expires_at: key.expires_at,
            description: key.description,
            narrowing: key.narrowing.map(Arc::new),
        })
    });
    Ok(Account {
        name: name.into(),
        kind: row.kind,
        email: row.email,
        state: row.state,
        created_at: row.created_at,
        created_by: row.created_by,
        revision: row.revision,
        roles: Arc::new(row.roles),
        keys: keys.collect::<Result<_>>()?,
    })
}

pub(super) fn encode_registry(registry: &RegistryEntry) -> Result<Bytes> {
    encode(registry)
}

pub(super) fn decode_registry(name: &str, bytes: &[u8]) -> Result<RegistryEntry> {
    let entry: RegistryEntry = decode("registry", name, bytes)?;
    Ok(RegistryEntry { name: name.into(), ..entry })
}

/// The row of a key's last use.
pub(super) fn encode_use(at: UnixMillis) -> Bytes {
    at.0.to_string().into()
}

pub(super) fn decode_use(bytes: &[u8]) -> Option<UnixMillis> {
    std::str::from_utf8(bytes).ok()?.parse().ok().map(UnixMillis)
}

fn encode(row: impl Serialize) -> Result<Bytes> {
    let encoded = serde_json::to_vec(&Versioned { v: VERSION, row });
    encoded
        .map(Bytes::from)
        .map_err(|error| RegistryError::corrupt(format!("a row of the directory: {error}")))
}

fn decode<T: DeserializeOwned>(kind: &str, name: &str, bytes: &[u8]) -> Result<T> {
    let corrupt = |why: String| RegistryError::corrupt(format!("the row of {kind} {name}: {why}"));
    let row: Versioned<T> = serde_json::from_slice(bytes).map_err(|error| {
        // What stands in the row is not for a log.
        corrupt(format!("not of its form, at column {}", error.column()))
    })?;
    match row.v {
        VERSION => Ok(row.row),
        other => Err(corrupt(format!("version {other} is of a newer release"))),
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Actions, Role};

    fn account() -> Account {
        Account {
            name: "anna".into(),
            kind: AccountKind::Robot,
            email: None,
            state: State::Enabled,
            created_at: UnixMillis(5),
            created_by: "admin".to_owned(),
            revision: 7,
            roles: Arc::new(Grants {
                instance: Some(Role::Viewer),
                registries: [("hy".to_owned(), Role::Admin)].into(),
            }),
            keys: vec![Key {
                id: "SKA".into(),
                hash: Secret::new("$argon2id$x"),
                refresh_secret: [0xa7; 32],
                state: State::Disabled,
                created_at: UnixMillis(6),
                expires_at: Some(UnixMillis(9)),
                description: "a \"quoted\" one".to_owned(),
                narrowing: Some(Arc::new(Narrowing {
                    repositories: vec!["hy/*".to_owned()],
                    actions: Actions::PULL,
                })),
            }],
        }
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let account = account();
        let row = encode_account(&account).unwrap();
        assert!(
            std::str::from_utf8(&row)
                .unwrap()
                .starts_with(r#"{"v":1,"kind":"robot","state":"enabled","created_at":5,"#)
        );
        assert_eq!(decode_account("anna", &row).unwrap(), account);
        let registry = RegistryEntry {
            quota: Some(9),
            anonymous_pull: true,
            ..RegistryEntry::standard("hy", UnixMillis(3))
        };
        let row = encode_registry(&registry).unwrap();
        assert_eq!(decode_registry("hy", &row).unwrap(), registry);
        assert_eq!(decode_use(&encode_use(UnixMillis(12))), Some(UnixMillis(12)));
    }

    #[test]
    fn what_is_no_row_is_refused_and_not_shown() {
        let row = encode_account(&account()).unwrap();
        let text = String::from_utf8(row.to_vec()).unwrap();
        for bad in [
            text.replace(r#""v":1"#, r#""v":2"#),
            text.replace("a7a7", "a7"),
            text.replace("robot", "ghost"),
            text.replace(r#""kind""#, r#""kinds""#),
            String::new(),
        ] {
            let error = decode_account("anna", bad.as_bytes()).unwrap_err();
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(!source.contains("argon2") && !source.contains("a7a7"), "{source}");
        }
        assert!(name_of(ACCOUNTS, b"account/anna").is_ok());
        assert!(name_of(ACCOUNTS, b"registry/hy").is_err());
        assert!(name_of(ACCOUNTS, b"account/\xff").is_err());
        for bad in ["", "-1", "x"] {
            assert_eq!(decode_use(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn an_account_has_room_for_many_roles_but_not_for_any_number() {
        let with = |count: usize| Account {
            roles: Arc::new(Grants {
                instance: None,
                registries: (0..count).map(|i| (format!("registry-number-{i:06}"), Role::Viewer)).collect(),
            }),
            ..account()
        };
        assert!(encode_account(&with(1000)).is_ok());
        let error = encode_account(&with(10_000)).unwrap_err();
        assert!(matches!(error, RegistryError::FieldInvalid { field: "roles", .. }), "{error}");
    }
}
