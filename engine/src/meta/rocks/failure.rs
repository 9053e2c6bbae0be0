//! What RocksDB's errors mean to an operator.

use crate::error::EngineError;
use rocksdb::{Error, ErrorKind};
use std::path::Path;

/// An error of opening the database.
pub(super) fn on_open(path: &Path, error: &Error) -> EngineError {
    let message = error.as_ref();
    if error.kind() == ErrorKind::IOError && message.contains("lock") && message.contains("LOCK") {
        return EngineError::Locked { pid: None };
    }
    // The library has no kind of its own for a full disk; opening writes a table of what the log holds. Its words are the system's.
    let full = ["No space left on device", "Disk quota exceeded"];
    if error.kind() == ErrorKind::IOError && full.iter().any(|words| message.contains(words)) {
        return EngineError::NoSpace;
    }
    unreadable(path, message)
}

/// An error of reading.
pub(super) fn on_read(error: &Error) -> EngineError {
    match error.kind() {
        ErrorKind::Corruption => EngineError::corrupt(format!(
            "the metadata store: {error}. Check the disk, then run `strata check` and restore what it names from a backup"
        )),
        _ => EngineError::io("reading the metadata store", std::io::Error::other(error.to_string())),
    }
}

/// An error of writing. The queue makes poison of it.
pub(super) fn on_write(error: &Error) -> EngineError {
    EngineError::io("writing the metadata store", std::io::Error::other(error.to_string()))
}

/// The file of states that the library begins a database with.
const FIRST_MANIFEST: &str = "MANIFEST-000001";

/// Refuses a directory that has files of a database but not the one that names its state: the library would take it for a
/// place to make a new, empty database in. That is what it is where there is no file yet that could hold anything, because the first open was
/// cut short: the library writes the first file of states, then the one that names it, and only then a log.
pub(super) fn refuse_headless(library: &Path) -> Result<(), EngineError> {
    let entries = std::fs::read_dir(library)
        .map_err(|error| unreadable(library, &format!("its directory cannot be listed: {error}")))?;
    let mut has_head = false;
    let mut has_files = false;
    for entry in entries {
        let entry = entry
            .map_err(|error| unreadable(library, &format!("its directory cannot be listed: {error}")))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        has_head |= name == "CURRENT";
        let extension = Path::new(name.as_ref()).extension();
        let holds = extension.is_some_and(|extension| extension == "sst" || extension == "log");
        has_files |= holds || (name.starts_with("MANIFEST-") && name != FIRST_MANIFEST);
    }
    if has_files && !has_head {
        return Err(unreadable(library, "the file CURRENT is missing, though there are others"));
    }
    Ok(())
}

pub(super) fn unreadable(path: &Path, reason: &str) -> EngineError {
    EngineError::StoreUnreadable { path: path.to_owned(), reason: reason.to_owned() }
}
