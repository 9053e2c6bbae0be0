//! Fills a directory with a backup: the part that whoever makes it runs himself, beside the server or without one.
//!
//! Order: the marker, then files and segments, then the metadata under another name, all synced; [`Filled::finish`] gives the metadata its name
//! and takes the marker away. A directory with the marker is refused by whatever opens stores, and one without it is whole.

use super::plan::{Item, plan};
use super::{BACKUPS, Backup, MARKER};
use crate::blob::generation::BLOBS;
use crate::disk::{Disk, RealDisk};
use crate::engine::META;
use crate::error::EngineError;
use crate::meta::{self, MetaStore, RocksConfig, RocksStore, View};
use crate::segment::SEGMENTS;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of the metadata until everything is there.
const META_PARTIAL: &str = "meta.partial";

/// Problems that a summary spells out; more are counted only.
const PROBLEMS_MAX: usize = 100;

/// How a backup is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Copies every byte, where it would otherwise give files that no longer change a second name.
    pub copy: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files that are there.
    pub files: u64,
    /// Files that there will be.
    pub files_total: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bytes that there will be in them.
    pub bytes_total: u64,
}

/// Who watches.
pub trait Watch {
    /// Called before each file. `false` gives the backup up.
    fn go_on(&mut self, progress: &Progress) -> bool;
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Files of blobs, sessions and segments.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// How many of the files share their bytes with the store.
    pub linked: u64,
    /// Bytes that were copied.
    pub bytes_copied: u64,
    /// The number of the last event that the backup knows.
    pub last_event: u64,
    /// Files that the store itself has lost or cut: the backup lacks them as the store does. At most a hundred.
    pub problems: Vec<String>,
    /// How many there are.
    pub problems_total: u64,
}

/// A directory that has all of a backup and is still marked as incomplete.
#[derive(Debug)]
#[must_use = "the backup is incomplete until it is finished"]
pub struct Filled {
    target: PathBuf,
    summary: Summary,
}

/// Fills `target`, which is empty, missing, or an incomplete backup that is begun anew, with what the checkpoint of `backup` names. Blocks.
///
/// The caller keeps the hold alive meanwhile, and asks whether it still lives before he calls [`Filled::finish`].
///
/// # Errors
/// [`EngineError::BackupTarget`] for a directory with something else in it, or one of the store's own; [`EngineError::Interrupted`] where `watch` gave up;
/// [`EngineError::NoSpace`], [`EngineError::Io`], errors of the metadata. The directory stays marked as incomplete.
pub fn fill(
    backup: &Backup,
    target: &Path,
    options: Options,
    watch: &mut dyn Watch,
) -> Result<Filled, EngineError> {
    let checkpoint = backup.data_dir.join(BACKUPS).join(&backup.id);
    prepare(target, &backup.data_dir)?;
    let store = RocksStore::open_read_only(&checkpoint, &RocksConfig::default())?;
    let view = View::new(store.view()?);
    // This program may be another version than the server.
    meta::identity(&view)?;
    let items = plan(&view, &backup.data_dir)?;
    let summary = Summary { last_event: view.last_event()?, ..Summary::default() };
    // The library keeps files open that are to be copied next.
    drop((view, store));
    let progress = Progress {
        files_total: items.len() as u64,
        bytes_total: items.iter().map(|item| item.bytes).sum(),
        ..Progress::default()
    };
    let mut filling = Filling {
        from: &backup.data_dir,
        to: target,
        link: !options.copy,
        summary,
        progress,
        spares: spared(target, backup)?,
        directories: BTreeSet::new(),
    };
    for item in &items {
        if !watch.go_on(&filling.progress) {
            return Err(EngineError::Interrupted);
        }
        filling.item(item)?;
    }
    if !watch.go_on(&filling.progress) {
        return Err(EngineError::Interrupted);
    }
    filling.metadata(&checkpoint)?;
    filling.sync()?;
    Ok(Filled { target: target.to_owned(), summary: filling.summary })
}

impl Filled {
    /// Makes the backup whole: from now on a server can start on it. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Io`]; the directory stays marked as incomplete.
    pub fn finish(self) -> Result<Summary, EngineError> {
        let (partial, whole) = (self.target.join(META_PARTIAL), self.target.join(META));
        fs::rename(&partial, &whole).map_err(|error| failed(&partial, error))?;
        sync_directory(&self.target)?;
        // DURABILITY: the marker goes after everything else has stayed.
        remove(&self.target.join(MARKER))?;
        sync_directory(&self.target)?;
        Ok(self.summary)
    }
}

/// Makes `target` a directory with the marker and nothing else.
fn prepare(target: &Path, data_dir: &Path) -> Result<(), EngineError> {
    let refused = |why| Err(EngineError::BackupTarget { path: target.to_owned(), why });
    if fs::metadata(target).is_ok_and(|found| !found.is_dir()) {
        return refused("it is no directory");
    }
    fs::create_dir_all(target).map_err(|error| failed(target, error))?;
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| failed(path, error));
    if real(target)?.starts_with(real(data_dir)?) {
        return refused("it lies in the data directory itself");
    }
    let marker = target.join(MARKER);
    if marker.exists() {
        // Only what a backup makes; a stranger's file stays and is refused below.
        for directory in [BLOBS, SEGMENTS, META_PARTIAL, META] {
            let path = target.join(directory);
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, error)),
                _ => {}
            }
        }
    }
    for entry in fs::read_dir(target).map_err(|error| failed(target, error))? {
        let name = entry.map_err(|error| failed(target, error))?.file_name();
        // What mke2fs leaves in every new file system, and what was left by somebody who tried to open a part.
        let is_empty = name == "lost+found" || (marker.exists() && name == "LOCK");
        if name != MARKER && !is_empty {
            return refused("it is not empty");
        }
    }
    let text =
        "The backup in this directory has not come to its end. Make it again, or remove the directory.\n";
    fs::write(&marker, text).map_err(|error| failed(&marker, error))?;
    for directory in [BLOBS, SEGMENTS, META_PARTIAL] {
        make_directory(&target.join(directory))?;
    }
    // DURABILITY: nothing of a backup is durable before its marker.
    sync_file(&marker)?;
    sync_directory(target)
}

/// The reserve of the store, if the target takes its space from the same file system.
fn spared(target: &Path, backup: &Backup) -> Result<u64, EngineError> {
    let device =
        |path: &Path| fs::metadata(path).map(|found| found.dev()).map_err(|error| failed(path, error));
    let shared = device(target)? == device(&backup.data_dir)?;
    Ok(if shared { backup.reserve_bytes } else { 0 })
}

struct Filling<'a> {
    from: &'a Path,
    to: &'a Path,
    /// Whether files can be given a second name, as far as is known.
    link: bool,
    summary: Summary,
    progress: Progress,
    /// Free space to leave alone where the target lies, bytes.
    spares: u64,
    /// Directories whose names are not synced yet.
    directories: BTreeSet<PathBuf>,
}

impl Filling<'_> {
    fn item(&mut self, item: &Item) -> Result<(), EngineError> {
        let path = item.path();
        let (from, to) = (self.from.join(&path), self.to.join(&path));
        if let Some(directory) = to.parent()
            && self.directories.insert(directory.to_owned())
        {
            make_directory(directory)?;
        }
        match fs::metadata(&from) {
            Ok(found) if !found.is_file() => {
                self.problem(item, format!("{} is no regular file", path.display()));
                return Ok(());
            }
            Ok(found) if found.len() >= item.bytes => {}
            Ok(found) => {
                let lacks = format!("{} has {} bytes instead of {}", path.display(), found.len(), item.bytes);
                self.problem(item, lacks);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.problem(item, format!("{} is missing", path.display()));
                return Ok(());
            }
            Err(error) => return Err(failed(&from, error)),
        }
        if !item.changes && self.try_link(&from, &to)? {
            self.summary.linked += 1;
        } else {
            self.copy(&from, &to, item.bytes)?;
            self.summary.bytes_copied += item.bytes;
        }
        self.summary.files += 1;
        self.summary.bytes += item.bytes;
        self.count(item);
        Ok(())
    }

    fn problem(&mut self, item: &Item, problem: String) {
        self.summary.problems_total += 1;
        if self.summary.problems.len() < PROBLEMS_MAX {
            self.summary.problems.push(problem);
        }
        self.count(item);
    }

    fn count(&mut self, item: &Item) {
        self.progress.files += 1;
        self.progress.bytes += item.bytes;
    }

    /// Copies, where that leaves the store its reserve: a store whose disk is filled by its own backup is no better off for it.
    fn copy(&self, from: &Path, to: &Path, bytes: u64) -> Result<(), EngineError> {
        if self.spares > 0 {
            let space = RealDisk::new(self.to).space().map_err(|error| failed(self.to, error))?;
            if space.available < self.spares.saturating_add(bytes) {
                return Err(EngineError::NoSpace);
            }
        }
        copy(from, to, bytes)
    }

    /// Gives a file a second name. `false` where that cannot be.
    fn try_link(&mut self, from: &Path, to: &Path) -> Result<bool, EngineError> {
        if !self.link {
            return Ok(false);
        }
        let Err(error) = fs::hard_link(from, to) else { return Ok(true) };
        match error.kind() {
            // Another file system, one without links, or a file of somebody else's: so are the others.
            io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => {
                self.link = false;
                Ok(false)
            }
            io::ErrorKind::TooManyLinks => Ok(false),
            _ => Err(failed(to, error)),
        }
    }

    /// Brings the metadata over. Tables no longer change and are shared like blobs; everything else is small.
    fn metadata(&mut self, checkpoint: &Path) -> Result<(), EngineError> {
        let to = self.to.join(META_PARTIAL);
        self.tree(checkpoint, &to)
    }

    fn tree(&mut self, from: &Path, to: &Path) -> Result<(), EngineError> {
        make_directory(to)?;
        self.directories.insert(to.to_owned());
        for entry in fs::read_dir(from).map_err(|error| failed(from, error))? {
            let entry = entry.map_err(|error| failed(from, error))?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let found = entry.metadata().map_err(|error| failed(&from, error))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if found.is_dir() {
                self.tree(&from, &to)?;
            } else if name == "LOCK" || name.starts_with("LOG") {
                // The library's own, of no use to a copy.
            } else if !(name.ends_with(".sst") && self.try_link(&from, &to)?) {
                self.copy(&from, &to, found.len())?;
                self.summary.bytes_copied += found.len();
            }
        }
        Ok(())
    }

    /// Makes all names durable. The bytes are: those of copies were synced one by one, those of links before their rows.
    fn sync(&self) -> Result<(), EngineError> {
        self.directories.iter().try_for_each(|directory| sync_directory(directory))?;
        [BLOBS, SEGMENTS].iter().try_for_each(|directory| sync_directory(&self.to.join(directory)))?;
        sync_directory(self.to)
    }
}

/// Copies the first `bytes` bytes of a file to a new one, durably.
fn copy(from: &Path, to: &Path, bytes: u64) -> Result<(), EngineError> {
    let source = File::open(from).map_err(|error| failed(from, error))?;
    let mut target = File::create_new(to).map_err(|error| failed(to, error))?;
    let copied = io::copy(&mut source.take(bytes), &mut target).map_err(|error| failed(to, error))?;
    if copied != bytes {
        return Err(EngineError::corrupt(format!(
            "{} ends at {copied} instead of {bytes} bytes",
            from.display()
        )));
    }
    target.sync_data().map_err(|error| failed(to, error))
}

fn make_directory(path: &Path) -> Result<(), EngineError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> Result<(), EngineError> {
    fs::remove_file(path).map_err(|error| failed(path, error))
}

fn sync_file(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| failed(path, error))
}

fn sync_directory(path: &Path) -> Result<(), EngineError> {
    sync_file(path)
}

fn failed(path: &Path, error: io::Error) -> EngineError {
    crate::gate::failed(path.display().to_string(), error)
}
