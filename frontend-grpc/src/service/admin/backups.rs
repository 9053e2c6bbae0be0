//! Backups: the hold that the server keeps for whoever makes one.

use crate::call::Call;
use crate::error::Refusal;
use crate::proto::registry as v1;
use std::time::Duration;
use strata_registry as registry;

fn hold(seconds: Option<u64>) -> Duration {
    seconds.map_or(registry::BACKUP_HOLD_DEFAULT, Duration::from_secs)
}

fn backup(backup: registry::Backup) -> v1::Backup {
    v1::Backup {
        id: backup.id,
        directory: backup.data_dir.to_string_lossy().into_owned(),
        made_at_millis: backup.made_at.0,
        expires_in_millis: u64::try_from(backup.expires_in.as_millis()).unwrap_or(u64::MAX),
        reserve: backup.reserve_bytes,
    }
}

pub(super) async fn list_backups(
    call: &Call,
    _: v1::AdminListBackupsRequest,
) -> Result<v1::AdminListBackupsResponse, Refusal> {
    let found = call.registry().backups(&call.context).await?;
    Ok(v1::AdminListBackupsResponse { backups: found.into_iter().map(backup).collect() })
}

pub(super) async fn start_backup(
    call: &Call,
    asked: v1::AdminStartBackupRequest,
) -> Result<v1::AdminStartBackupResponse, Refusal> {
    let started = call.registry().start_backup(&call.context, hold(asked.hold_seconds)).await?;
    Ok(v1::AdminStartBackupResponse { backup: Some(backup(started)) })
}

pub(super) async fn renew_backup(
    call: &Call,
    asked: v1::AdminRenewBackupRequest,
) -> Result<v1::AdminRenewBackupResponse, Refusal> {
    let hold = hold(asked.hold_seconds);
    let renewed = call.registry().renew_backup(&call.context, &asked.id, hold).await?;
    Ok(v1::AdminRenewBackupResponse { backup: Some(backup(renewed)) })
}

pub(super) async fn end_backup(
    call: &Call,
    asked: v1::AdminEndBackupRequest,
) -> Result<v1::AdminEndBackupResponse, Refusal> {
    call.registry().end_backup(&call.context, &asked.id).await?;
    Ok(v1::AdminEndBackupResponse {})
}
