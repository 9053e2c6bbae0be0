//! One process per data directory: an advisory lock on the file `LOCK`, which says whose it is.
//!
//! The lock lives as long as the value; the system drops it with the process, however that ends, so a stale file never
//! stands in the way.

use crate::error::EngineError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

const FILE_NAME: &str = "LOCK";

/// The right to use a data directory.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the directory for this process alone, for reading and writing.
    ///
    /// # Errors
    /// [`EngineError::Locked`] where another process has it, [`EngineError::ReadOnly`] where the directory cannot be written.
    pub(crate) fn exclusive(data_dir: &Path) -> Result<Self, EngineError> {
        let path = data_dir.join(FILE_NAME);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(|error| lock_error(&path, error))?;
        take(&mut file, &path, FlockOperation::NonBlockingLockExclusive)?;
        let write_pid = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write_pid(&mut file).map_err(|error| lock_error(&path, error))?;
        Ok(Self { _file: file })
    }

    /// Shares the directory with other readers, and with no writer. Writes nothing; a directory that was never locked, or
    /// lies on a read-only medium, is taken as it is.
    ///
    /// # Errors
    /// [`EngineError::Locked`] where a process writes to the directory.
    pub(crate) fn shared(data_dir: &Path) -> Result<Option<Self>, EngineError> {
        let path = data_dir.join(FILE_NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(lock_error(&path, error)),
        };
        take(&mut file, &path, FlockOperation::NonBlockingLockShared)?;
        Ok(Some(Self { _file: file }))
    }
}

fn take(file: &mut File, path: &Path, operation: FlockOperation) -> Result<(), EngineError> {
    match flock(&*file, operation) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            Err(EngineError::Locked { pid })
        }
        Err(errno) => Err(lock_error(path, errno.into())),
    }
}

fn lock_error(path: &Path, error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => EngineError::ReadOnly,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EngineError::NoSpace,
        _ => EngineError::io(path.display().to_string(), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_or_many_readers() {
        let dir = tempfile::tempdir().unwrap();
        assert!(DirLock::shared(dir.path()).unwrap().is_none(), "a directory never locked is free");
        let writer = DirLock::exclusive(dir.path()).unwrap();
        let own = Some(std::process::id());
        assert!(matches!(DirLock::exclusive(dir.path()), Err(EngineError::Locked { pid }) if pid == own));
        assert!(matches!(DirLock::shared(dir.path()), Err(EngineError::Locked { pid }) if pid == own));
        drop(writer);
        let readers = (DirLock::shared(dir.path()).unwrap(), DirLock::shared(dir.path()).unwrap());
        assert!(readers.0.is_some() && readers.1.is_some());
        assert!(matches!(DirLock::exclusive(dir.path()), Err(EngineError::Locked { .. })));
        drop(readers);
        assert!(DirLock::exclusive(dir.path()).is_ok());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_told_apart() {
        for (errno, expected) in
            [(libc::EROFS, "reading only"), (libc::EACCES, "reading only"), (libc::ENOSPC, "no space")]
        {
            let error = lock_error(Path::new("LOCK"), io::Error::from_raw_os_error(errno)).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_file() {
        let error = DirLock::exclusive(Path::new("/nonexistent/data")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/data/LOCK"), "{error}");
    }
}
