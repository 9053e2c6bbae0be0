//! Backups that are under way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use strata_registry as registry;

/// Request of `POST /api/v1/backups` and `PUT /api/v1/backups/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BackupRequest {
    /// How long the hold lives from now on, seconds: 1 to 3600.
    pub hold_seconds: u64,
}

impl Default for BackupRequest {
    fn default() -> Self {
        Self { hold_seconds: registry::BACKUP_HOLD_DEFAULT.as_secs() }
    }
}

/// A backup that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backup {
    /// Its name.
    pub id: String,
    /// The data directory, as the server sees it. The checkpoint is `backups/ID/` in it.
    pub directory: PathBuf,
    /// When the checkpoint was made, milliseconds since 1970.
    pub made_at_millis: u64,
    /// How long the hold lives if it is not renewed, milliseconds.
    pub expires_in_millis: u64,
    /// Free space that is to be left alone where the data directory lies, bytes.
    pub reserve: u64,
}

/// Answer of `GET /api/v1/backups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backups {
    /// Those that are under way.
    pub backups: Vec<Backup>,
}

impl From<registry::Backup> for Backup {
    fn from(backup: registry::Backup) -> Self {
        Self {
            id: backup.id,
            directory: backup.data_dir,
            made_at_millis: backup.made_at.0,
            expires_in_millis: u64::try_from(backup.expires_in.as_millis()).unwrap_or(u64::MAX),
            reserve: backup.reserve_bytes,
        }
    }
}
