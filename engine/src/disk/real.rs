//! The disk of a running registry: files under one directory of the operating system.
//!
//! Holds no policy: what is written where, and when it is synced, is the callers' (see [`super`]).

use super::{DirEntry, Disk, DiskFile, OpenMode, Space};
use rustix::fs::{Advice, OFlags};
use rustix::io::ReadWriteFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files under a directory.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// A disk whose paths are relative to `root`, which must exist when the disk is first used.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl RealDisk {
    /// As [`Disk::open`].
    pub(super) fn open_file(&self, path: &Path, mode: OpenMode) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::Write => options.read(true).write(true),
            OpenMode::Create => options.read(true).write(true).create_new(true),
            OpenMode::Direct => options.write(true),
        };
        if mode == OpenMode::Create {
            return Ok(RealFile { file: options.open(self.root.join(path))? });
        }
        let direct = if mode == OpenMode::Direct { OFlags::DIRECT } else { OFlags::empty() };
        // Opening a FIFO would wait for its other end.
        options.custom_flags((direct | OFlags::NONBLOCK).bits().cast_signed());
        let file = options.open(self.root.join(path)).map_err(no_file)?;
        if !file.metadata()?.is_file() {
            return Err(stranger());
        }
        // The ring takes reads of a file that does not wait for ones that must not.
        rustix::fs::fcntl_setfl(&file, direct)?;
        Ok(RealFile { file })
    }
}

/// What cannot even be opened because it is a socket, a FIFO that nobody reads, or a directory is no file.
fn no_file(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::ENXIO | libc::ENODEV | libc::EISDIR) => stranger(),
        _ => error,
    }
}

fn stranger() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "what stands in its place is no regular file")
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(self.open_file(path, mode)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(self.root.join(path)).map_err(no_file)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let entry = |entry: io::Result<std::fs::DirEntry>| -> io::Result<DirEntry> {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok(DirEntry { name, is_dir: entry.file_type()?.is_dir() })
        };
        std::fs::read_dir(self.root.join(dir))?.map(entry).collect()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match std::fs::create_dir(self.root.join(dir)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir(self.root.join(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(self.root.join(dir))?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(Space {
            available: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// An open file of the operating system.
#[derive(Debug)]
pub(super) struct RealFile {
    file: File,
}

impl RealFile {
    #[cfg(test)]
    pub(super) const fn new(file: File) -> Self {
        Self { file }
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }
}

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut slices = [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Ok(count),
            // File systems that cannot tell (some FUSE, old kernels) say so; the caller then reads on a thread that may wait.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn read_at_passing(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.read_at_cached(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            cached => return cached,
        }
        // Without reading ahead: what comes in is what is asked for, and so is what is dropped again. A refusal changes nothing about
        // the bytes.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::Random);
        let count = self.file.read_at(buffer, offset)?;
        let _ = rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(count as u64), Advice::DontNeed);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.file, slices, offset)?)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(rustix::fs::fstat(&self.file)?.st_size).unwrap_or(0))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}
