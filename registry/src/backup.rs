//! Backups for operators: a hold on what the store has now, while somebody on the same machine copies it.

use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use std::ops::RangeInclusive;
use std::time::Duration;
use strata_engine::{Backup, EngineError};

/// How long a hold may be asked to live: long enough for whoever renews it, too short to be forgotten.
const HOLD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// How long a hold lives where nobody said it.
pub const BACKUP_HOLD_DEFAULT: Duration = Duration::from_mins(1);

impl Registry {
    /// Makes a checkpoint and keeps all that it names until `hold` is over, or the backup is ended.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; [`RegistryError::HoldInvalid`]; [`RegistryError::BackupsUnderWay`]; the store's condition: one that
    /// takes no writes makes no checkpoint.
    pub async fn start_backup(&self, ctx: &Context, hold: Duration) -> Result<Backup> {
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("backup.start", ""))?;
        check(hold)?;
        self.engine().start_backup(hold).await.map_err(|error| match error {
            EngineError::BackupsUnderWay { max } => RegistryError::BackupsUnderWay { max },
            other => RegistryError::store(other),
        })
    }

    /// Lets the hold of a backup live for `hold` from now on.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; [`RegistryError::HoldInvalid`]; [`RegistryError::BackupUnknown`].
    pub async fn renew_backup(&self, ctx: &Context, id: &str, hold: Duration) -> Result<Backup> {
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("backup.renew", ""))?;
        check(hold)?;
        self.engine().renew_backup(id, hold).map_err(|error| unknown(id, error))
    }

    /// Ends a backup: its checkpoint goes, and what waited for it is removed.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`]; [`RegistryError::BackupUnknown`].
    pub async fn end_backup(&self, ctx: &Context, id: &str) -> Result<()> {
        self.authorize_change(ctx, InstanceAction::Operate, Attempt::on_instance("backup.end", ""))?;
        let (registry, id) = (self.clone(), id.to_owned());
        away(move || registry.engine().end_backup(&id).map_err(|error| unknown(&id, error))).await
    }

    /// The backups that are under way.
    ///
    /// # Errors
    /// [`RegistryError::OperatorsOnly`].
    pub async fn backups(&self, ctx: &Context) -> Result<Vec<Backup>> {
        self.authorize_instance(ctx, InstanceAction::Operate)?;
        Ok(self.engine().backups())
    }
}

fn check(hold: Duration) -> Result<()> {
    if HOLD.contains(&hold) {
        return Ok(());
    }
    Err(RegistryError::HoldInvalid { min_seconds: HOLD.start().as_secs(), max_seconds: HOLD.end().as_secs() })
}

fn unknown(id: &str, error: EngineError) -> RegistryError {
    match error {
        EngineError::NotFound => RegistryError::BackupUnknown { id: id.to_owned() },
        other => RegistryError::store(other),
    }
}
