//! Backups of a store that goes on working.
//!
//! The server's part ([`Backups`]) is short: a checkpoint of the metadata under `backups/ID/` of the data directory, and a *hold* that
//! keeps files from being removed while somebody copies what the checkpoint names. The hold has an expiry that its holder moves on, so
//! a client that dies stops nothing for long. The other part ([`mod@fill`]) runs in whoever makes the backup, on the same machine: it links or
//! copies those files into a directory that is a whole data directory when it is done, and cannot be taken for one before.
//!
//! Why the result is consistent: bytes are synced before the row that names them is committed, and a file is removed only after the
//! commit that takes its last row away. So whatever the checkpoint names was whole when it was made, and what is removed after it
//! was begun waits for the hold.

mod fill;
mod hold;
mod manage;
mod plan;

pub use fill::{Filled, Options, Progress, Summary, Watch, fill};
pub(crate) use hold::Holds;
pub use manage::Backup;
pub(crate) use manage::Backups;

use crate::error::EngineError;
use std::io;
use std::path::Path;

/// The directory of checkpoints in a data directory. What is in it when a store is opened is left over.
pub const BACKUPS: &str = "backups";

/// The file that marks a directory as a backup that has not come to its end.
pub const MARKER: &str = "INCOMPLETE-BACKUP";

/// Backups that may be under way at a time; each holds back the removal of files.
pub const BACKUPS_MAX: usize = 4;

/// Refuses a directory that holds a part of a backup.
///
/// # Errors
/// [`EngineError::IncompleteBackup`].
pub(crate) fn refuse_incomplete(data_dir: &Path) -> Result<(), EngineError> {
    if data_dir.join(MARKER).exists() {
        return Err(EngineError::IncompleteBackup { path: data_dir.to_owned() });
    }
    Ok(())
}

/// Removes the checkpoints of backups that ended with an earlier process.
///
/// # Errors
/// [`EngineError::Io`].
pub(crate) fn remove_left_over(data_dir: &Path) -> Result<(), EngineError> {
    let path = data_dir.join(BACKUPS);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EngineError::io(format!("removing {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
