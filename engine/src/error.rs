//! What can go wrong in the engine, by meaning. The service layer maps each case to its own errors by hand.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use strata_types::Digest;

/// Every failure of the engine. Cheap to clone, so that one failed sync can answer all who waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// What was asked for does not exist.
    #[error("not found")]
    NotFound,
    /// An expectation of the batch did not hold: someone else was faster. Read again and retry.
    #[error("the metadata changed meanwhile")]
    Conflict,
    /// More commits wait than the queue holds. Nothing was written; retry after a moment.
    #[error("too many commits are waiting for the disk")]
    Overloaded,
    /// The bytes received are not what the digest names.
    #[error("the content has digest {actual}, not {expected}")]
    DigestMismatch {
        /// What the client said.
        expected: Digest,
        /// What the bytes are.
        actual: Digest,
    },
    /// No such upload session, or it belongs to another repository, or it expired.
    #[error("the upload session is unknown")]
    UploadUnknown,
    /// Another request writes to the session now.
    #[error("the upload session is being written to by another request")]
    UploadBusy {
        /// Bytes that the session holds as far as it is known.
        offset: u64,
    },
    /// The client's idea of the session's offset is wrong.
    #[error("the upload session is at offset {actual}, not {expected}")]
    OffsetMismatch {
        /// What the client said.
        expected: u64,
        /// What the session holds.
        actual: u64,
    },
    /// More bytes than a limit allows.
    #[error("more than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit_bytes: u64,
    },
    /// A registry would use more than a limit allows.
    #[error("registry {registry} uses {used} bytes, {wanted} more would be above its limit of {limit}")]
    UsageExceeded {
        /// Which registry.
        registry: String,
        /// The limit, bytes.
        limit: u64,
        /// What it uses now, bytes.
        used: u64,
        /// By how much that would be raised, bytes.
        wanted: u64,
    },
    /// More rows than one commit may change.
    #[error("more than {max} rows would change at once")]
    TooManyRows {
        /// The limit.
        max: usize,
    },
    /// The disk is full, or the reserve that the store keeps free is reached.
    #[error("no space left in the data directory")]
    NoSpace,
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Another process uses the data directory.
    #[error("the data directory is in use by another process{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The process, where the lock file tells.
        pid: Option<u32>,
    },
    /// Stored bytes are not what was written.
    #[error("corrupt data: {what}")]
    Corrupt {
        /// Which record or file, and what is wrong with it.
        what: String,
    },
    /// The metadata store cannot be opened.
    #[error(
        "the metadata store in {} cannot be opened: {reason}. Nothing was changed. Check the disk and the permissions; \
         work on a copy of the data directory, or restore it from a backup: files of the store must not be edited or \
         removed by hand", path.display()
    )]
    StoreUnreadable {
        /// The store's directory.
        path: PathBuf,
        /// What the storage library says.
        reason: String,
    },
    /// The data directory was written by another version of the format.
    #[error(
        "the data directory has format version {found}, this program reads version {supported}: \
         use the program version that wrote it, or upgrade"
    )]
    FormatVersion {
        /// What the directory says.
        found: u32,
        /// What this program knows.
        supported: u32,
    },
    /// The data directory is of an older format, and whoever opens it did not ask for it to be changed.
    #[error(
        "the data directory has format version {found}, which this program would first turn into version {current}, and older programs \
         cannot read that: start the server on it once (`strata serve`), then ask again"
    )]
    FormatOld {
        /// What the directory says.
        found: u32,
        /// What this program writes.
        current: u32,
    },
    /// The directory holds a part of a backup.
    #[error(
        "{} holds a backup that has not come to its end. Make it again with `strata backup`, or use another one", path.display()
    )]
    IncompleteBackup {
        /// The directory.
        path: PathBuf,
    },
    /// A backup cannot be made into the directory.
    #[error("no backup can be made into {}: {why}", path.display())]
    BackupTarget {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// So many backups are under way already.
    #[error("{max} backups are under way already")]
    BackupsUnderWay {
        /// How many there may be.
        max: usize,
    },
    /// Whoever asked for it gave it up.
    #[error("it was given up")]
    Interrupted,
    /// An earlier write failed, so the outcome of writes is unknown: the store refuses them until it is opened again.
    #[error(
        "the store stopped accepting writes after a failure: {why}. Reads go on. Check the disk (space, health, kernel \
         log), then restart"
    )]
    Poisoned {
        /// The first failure.
        why: Arc<str>,
    },
    /// An operation of the operating system failed.
    #[error("{what}: {source}")]
    Io {
        /// Which file or operation.
        what: String,
        /// The system's answer.
        source: Arc<io::Error>,
    },
}

impl EngineError {
    /// An [`EngineError::Io`] with what was being done.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source: Arc::new(source) }
    }

    /// An [`EngineError::Corrupt`].
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// An [`EngineError::Poisoned`].
    pub fn poisoned(why: impl Into<Arc<str>>) -> Self {
        Self::Poisoned { why: why.into() }
    }

    /// Whether the same call can succeed when it is made again, without an operator's help.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Conflict | Self::Overloaded | Self::UploadBusy { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_do() {
        let poisoned = EngineError::poisoned("fdatasync: input/output error").to_string();
        assert!(poisoned.contains("input/output error") && poisoned.contains("restart"), "{poisoned}");
        let locked = EngineError::Locked { pid: Some(7) }.to_string();
        assert_eq!(locked, "the data directory is in use by another process (pid 7)");
        assert_eq!(
            EngineError::Locked { pid: None }.to_string(),
            "the data directory is in use by another process"
        );
        let unreadable =
            EngineError::StoreUnreadable { path: "/d/meta".into(), reason: "bad block".into() }.to_string();
        assert!(unreadable.contains("/d/meta") && unreadable.contains("backup"), "{unreadable}");
    }

    #[test]
    fn only_lost_races_are_retryable() {
        assert!(EngineError::Conflict.is_retryable());
        assert!(EngineError::UploadBusy { offset: 1 }.is_retryable());
        for error in [
            EngineError::NotFound,
            EngineError::NoSpace,
            EngineError::poisoned("x"),
            EngineError::corrupt("y"),
        ] {
            assert!(!error.is_retryable(), "{error}");
        }
    }
}
