//! Files of large blobs: made under their generation, their directories synced, removed, opened for readers.
//!
//! A file is written in place under its final name, so a blob costs no rename. What no row names is removed: at once where an
//! upload is given up, else by [`crate::recovery`]. Called by `upload` and by the engine's reads.

use super::generation::{BLOBS, Generations, directory_of, directory_path, file_path};
use crate::backup::Holds;
use crate::disk::{
    DIRECT_ALIGNMENT, Disk, DiskFile, OpenMode, Pool, Request, Work, retry_interrupted, write_all_vectored_at,
};
use crate::error::EngineError;
use crate::gate::{Gate, failed};
use crate::sync::{Pending, lock};
use std::collections::{HashMap, HashSet};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use strata_types::FastPath;

type Synced = Box<dyn FnOnce(Result<(), EngineError>) + Send>;

/// The store's blob files.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) generations: Generations,
    threads: Arc<Pool>,
    pending: Arc<Pending>,
    holds: Arc<Holds>,
    /// Whether direct writes are asked for and, as far as it is known, can be had.
    direct: AtomicBool,
    /// Directories that exist and are durable.
    directories: Mutex<HashSet<u64>>,
    /// Directories that are being synced, and who waits for the next sync of each.
    syncs: Mutex<DirectorySyncs>,
}

#[derive(Default)]
struct DirectorySyncs(HashMap<u64, Vec<Synced>>);

impl std::fmt::Debug for DirectorySyncs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Files {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        gate: Arc<Gate>,
        threads: Arc<Pool>,
        pending: Arc<Pending>,
        holds: Arc<Holds>,
        generation_next: u64,
        direct: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            disk,
            gate,
            generations: Generations::new(generation_next),
            threads,
            pending,
            holds,
            direct: AtomicBool::new(direct),
            directories: Mutex::default(),
            syncs: Mutex::default(),
        })
    }

    /// Makes a file for a new blob. Blocks; its name is durable once [`Files::sync_directory`] says so.
    ///
    /// # Errors
    /// [`EngineError::NoSpace`], [`EngineError::Poisoned`], [`EngineError::Io`]; no file is left then that recovery does not
    /// find.
    pub(crate) fn create(self: &Arc<Self>) -> Result<NewFile, EngineError> {
        let generation = self.generations.begin();
        // From here on the number is settled by the value's drop, whatever happens.
        let mut file = NewFile {
            generation,
            handle: None,
            direct: OnceLock::new(),
            named: AtomicBool::new(false),
            files: Arc::clone(self),
        };
        self.make_directory(directory_of(generation))?;
        let path = file_path(generation);
        let handle = self.disk.open(&path, OpenMode::Create);
        file.handle = Some(handle.map_err(|error| failed(path.display().to_string(), error))?);
        Ok(file)
    }

    /// Opens the file of an upload session again. Blocks. Its generation is settled: a session's row names it.
    ///
    /// # Errors
    /// [`EngineError::Io`] with `NotFound` inside where it is gone.
    pub(crate) fn reopen(self: &Arc<Self>, generation: u64) -> Result<NewFile, EngineError> {
        let path = file_path(generation);
        let handle = self.disk.open(&path, OpenMode::Write);
        let handle = handle.map_err(|error| failed(path.display().to_string(), error))?;
        Ok(NewFile {
            generation,
            handle: Some(handle),
            direct: OnceLock::new(),
            named: AtomicBool::new(true),
            files: Arc::clone(self),
        })
    }

    fn make_directory(&self, directory: u64) -> Result<(), EngineError> {
        // Held while the directory is made: one in 4096 creates does that, and the others must not overtake it.
        let mut known = lock(&self.directories);
        if known.contains(&directory) {
            return Ok(());
        }
        let path = directory_path(directory);
        self.disk.create_dir(&path).map_err(|error| failed(path.display().to_string(), error))?;
        retry_interrupted(|| self.disk.sync_dir(Path::new(BLOBS)))
            .map_err(|error| self.gate.sync_failed(BLOBS, error))?;
        known.insert(directory);
        Ok(())
    }

    /// Makes the names in a generation's directory durable and tells `then`. One sync serves all who ask while another one
    /// runs. Called on a thread that may block.
    pub(crate) fn sync_directory(
        &self,
        generation: u64,
        then: impl FnOnce(Result<(), EngineError>) + Send + 'static,
    ) {
        let directory = directory_of(generation);
        let then: Synced = Box::new(then);
        {
            let mut syncs = lock(&self.syncs);
            if let Some(waiting) = syncs.0.get_mut(&directory) {
                waiting.push(then);
                return;
            }
            syncs.0.insert(directory, Vec::new());
        }
        let mut served = vec![then];
        while !served.is_empty() {
            // Who makes a file holds the directory in being; where it is gone, all who wait have removed files.
            let outcome = self.sync_removals(directory);
            for then in served {
                then(outcome.clone());
            }
            let mut syncs = lock(&self.syncs);
            served = syncs.0.get_mut(&directory).map(std::mem::take).unwrap_or_default();
            if served.is_empty() {
                syncs.0.remove(&directory);
            }
        }
    }

    /// Makes the absence of removed files in a directory durable. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], and so is the store.
    pub(crate) fn sync_removals(&self, directory: u64) -> Result<(), EngineError> {
        let path = directory_path(directory);
        match retry_interrupted(|| self.disk.sync_dir(&path)) {
            // It was removed, after it had been synced without them.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|error| self.gate.sync_failed(&path.display().to_string(), error)),
        }
    }

    /// Removes a file for good, in the background, and then settles its generation and calls `then`. Not done in a poisoned
    /// store: a commit of unknown outcome may have named the file, and only recovery can tell. Waits for the end of backups. `named`: a
    /// tombstone names it.
    pub(crate) fn discard(
        self: &Arc<Self>,
        generation: u64,
        named: bool,
        then: impl FnOnce() + Send + 'static,
    ) {
        let files = Arc::clone(self);
        self.holds.when_free(move || files.discard_now(generation, named, then));
    }

    fn discard_now(self: &Arc<Self>, generation: u64, named: bool, then: impl FnOnce() + Send + 'static) {
        let files = Arc::clone(self);
        let pending = self.pending.enter();
        self.threads.run(move || {
            if files.gate.poisoned().is_some() {
                return;
            }
            match files.disk.remove(&file_path(generation)) {
                Ok(()) => {}
                // Garbage collection came first, and may not have synced yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound && named => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // It was never made.
                    files.generations.settle(generation);
                    then();
                    return;
                }
                Err(error) => {
                    // It stays unsettled, so the next recovery removes it.
                    tracing::warn!(path = %file_path(generation).display(), %error, "an unnamed file was not removed");
                    return;
                }
            }
            let same = Arc::clone(&files);
            files.sync_directory(generation, move |outcome| {
                if outcome.is_ok() {
                    same.generations.settle(generation);
                    then();
                }
                drop(pending);
            });
        });
    }

    /// Finds out, by trying, whether files here can be written past the page cache.
    pub(crate) fn probe_direct(self: &Arc<Self>) -> FastPath {
        const SETTING: &str = "storage.direct-io";
        if !self.direct.load(Ordering::Relaxed) {
            return FastPath::switched_off(SETTING);
        }
        let possible = self.create().is_ok_and(|file| file.direct_handle().is_some());
        self.direct.store(possible, Ordering::Relaxed);
        if possible {
            FastPath::taken(SETTING, "large uploads are written past the page cache")
        } else {
            FastPath::refused(SETTING, "the file system refuses it, uploads go through the page cache")
        }
    }
}

/// The file of an upload. Dropped while no row names it, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    generation: u64,
    handle: Option<Arc<dyn DiskFile>>,
    direct: OnceLock<Option<Arc<dyn DiskFile>>>,
    named: AtomicBool,
    files: Arc<Files>,
}

impl NewFile {
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Says that a committed row names the file: it stays, and its generation is settled.
    pub(crate) fn set_named(&self) {
        self.named.store(true, Ordering::Release);
        self.files.generations.settle(self.generation);
    }

    /// Whether a committed row names the file.
    pub(crate) fn is_named(&self) -> bool {
        self.named.load(Ordering::Acquire)
    }

    fn handle(&self) -> Result<&dyn DiskFile, EngineError> {
        self.handle.as_deref().ok_or_else(|| EngineError::io(self.name(), io::ErrorKind::NotFound.into()))
    }

    fn name(&self) -> String {
        file_path(self.generation).display().to_string()
    }

    fn direct_handle(&self) -> Option<&dyn DiskFile> {
        let direct = self
            .direct
            .get_or_init(|| self.files.disk.open(&file_path(self.generation), OpenMode::Direct).ok());
        direct.as_deref()
    }

    /// Writes the slices one behind another at `offset`: with `direct`, whole aligned blocks past the page cache where that can
    /// be had. The slices are used up; all but the last are whole blocks.
    ///
    /// # Errors
    /// [`EngineError::NoSpace`], [`EngineError::ReadOnly`], [`EngineError::Io`].
    pub(crate) fn write(
        &self,
        mut slices: &mut [IoSlice<'_>],
        offset: u64,
        direct: bool,
    ) -> Result<(), EngineError> {
        let mut written = 0;
        if direct
            && offset.is_multiple_of(DIRECT_ALIGNMENT as u64)
            && slices.iter().all(|slice| slice.as_ptr().addr().is_multiple_of(DIRECT_ALIGNMENT))
            && self.files.direct.load(Ordering::Relaxed)
            && let Some(handle) = self.direct_handle()
        {
            match write_direct(handle, slices, offset) {
                Ok(count) => written = count,
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    // The file system opens files so, but does not write them so, or wants another alignment.
                    tracing::info!(
                        "direct writes are refused; uploads go through the page cache from now on"
                    );
                    self.files.direct.store(false, Ordering::Relaxed);
                }
                Err(error) => return Err(failed(self.name(), error)),
            }
        }
        IoSlice::advance_slices(&mut slices, written);
        write_all_vectored_at(self.handle()?, slices, offset + written as u64)
            .map_err(|error| failed(self.name(), error))
    }

    /// Reads `buffer.len()` bytes at `offset`.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] where the file is shorter, [`EngineError::Io`].
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), EngineError> {
        crate::disk::read_exact_at(self.handle()?, buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => EngineError::corrupt(format!("{} is too short", self.name())),
            _ => EngineError::io(self.name(), error),
        })
    }

    /// Length of the file.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub(crate) fn len(&self) -> Result<u64, EngineError> {
        self.handle()?.len().map_err(|error| EngineError::io(self.name(), error))
    }

    /// Cuts the file to `len` if it is longer (what failed writes left behind), and says whether it was. Not durable before
    /// the next sync.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub(crate) fn cut(&self, len: u64) -> Result<bool, EngineError> {
        if self.len()? <= len {
            return Ok(false);
        }
        retry_interrupted(|| self.handle().map_err(io::Error::other)?.set_len(len))
            .map_err(|error| failed(self.name(), error))?;
        Ok(true)
    }

    /// The handle to write `bytes` at `offset` through, and the alignment that it wants, where writes are begun rather than done
    /// on threads. `None`: [`NewFile::write`] it on one, as also the first direct write of a file, which opens it.
    pub(crate) fn begins(
        &self,
        bytes: &[u8],
        offset: u64,
        direct: bool,
    ) -> Option<(Arc<dyn DiskFile>, usize)> {
        let handle = self.handle.as_ref().filter(|handle| handle.begins_writes())?;
        if !direct || !self.files.direct.load(Ordering::Relaxed) {
            return Some((Arc::clone(handle), 1));
        }
        let aligned = |value: usize| value.is_multiple_of(DIRECT_ALIGNMENT);
        let whole = aligned(offset as usize) && aligned(bytes.len()) && aligned(bytes.as_ptr().addr());
        let direct = self.direct.get()?.as_ref().filter(|_| whole)?;
        Some((Arc::clone(direct), DIRECT_ALIGNMENT))
    }

    /// What the failure of a begun write means.
    pub(crate) fn write_failed(&self, error: io::Error) -> EngineError {
        failed(self.name(), error)
    }

    /// As [`NewFile::sync`], and tells `then`: on this thread, which may wait, or on that of a disk that takes syncs. `then`
    /// must be short.
    pub(crate) fn sync_then(self: &Arc<Self>, then: impl FnOnce(Result<(), EngineError>) + Send + 'static) {
        let file = Arc::clone(self);
        let handle = match &self.handle {
            Some(handle) if handle.begins_writes() => handle,
            _ => return then(self.sync()),
        };
        let request = Request::new(Work::Sync, move |ended| {
            let outcome = ended.outcome.map(drop);
            then(outcome.map_err(|error| file.files.gate.sync_failed(&file.name(), error)));
        });
        if let Err(request) = handle.begin(request) {
            request.run(&**handle);
        }
    }

    /// Makes content and length durable.
    ///
    /// # Errors
    /// [`EngineError::Poisoned`], and so is the store; [`EngineError::NoSpace`].
    pub(crate) fn sync(&self) -> Result<(), EngineError> {
        let handle = self.handle()?;
        retry_interrupted(|| handle.sync()).map_err(|error| self.files.gate.sync_failed(&self.name(), error))
    }
}

/// Writes the whole blocks of the slices and returns how many bytes: all, or those before a short write that ended off the
/// alignment.
fn write_direct(file: &dyn DiskFile, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
    let whole = |slice: &IoSlice<'_>| slice.len() - slice.len() % DIRECT_ALIGNMENT;
    let mut blocks: Vec<IoSlice<'_>> =
        slices.iter().filter_map(|slice| slice.get(..whole(slice)).map(IoSlice::new)).collect();
    let mut rest = blocks.as_mut_slice();
    let mut written = 0_usize;
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() && written.is_multiple_of(DIRECT_ALIGNMENT) {
        match file.write_vectored_at(rest, offset + written as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                written += count;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.is_named() {
            return;
        }
        self.handle = None;
        self.files.discard(self.generation, false, || {});
    }
}
