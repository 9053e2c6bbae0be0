//! A disk in memory that knows what is durable: a power cut loses, keeps or tears what was not synced.
//!
//! For tests only. Counts every step that changes something, so that a test can cut the power at each of them. Handles of
//! before a restart are dead, as the handles of a killed process are.

mod begun;

use super::{DirEntry, Disk, DiskFile, OpenMode, Request, Space};
use begun::Begun;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Size of what a power cut keeps or loses as one, bytes.
const SECTOR: usize = 512;

/// What a power cut does to writes and names that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// All of them are lost.
    Lose,
    /// All of them were on the platter, by luck.
    Keep,
    /// Each sector and each name is kept or lost at random; the same seed decides the same way.
    Tear(u64),
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Default, Clone)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, mut keep: impl FnMut() -> bool) {
        match self {
            Self::SetLen(len) => {
                if keep() {
                    content.resize(*len, 0);
                }
            }
            Self::Write { offset, bytes } => {
                let mut at = 0;
                while at < bytes.len() {
                    let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                    if keep() {
                        content.resize(content.len().max(offset + end), 0);
                        let to = content.get_mut(offset + at..offset + end).unwrap_or_default();
                        to.copy_from_slice(bytes.get(at..end).unwrap_or_default());
                    }
                    at = end;
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    inode_next: u64,
    live: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    dirs_live: BTreeSet<PathBuf>,
    dirs_durable: BTreeSet<PathBuf>,
    boot: u64,
    steps: u64,
    off_at: Option<u64>,
    off: bool,
    capacity: Option<u64>,
    direct: bool,
    begun: Option<Begun>,
}

/// The simulated disk. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk that takes direct writes.
    pub fn new() -> Self {
        let mut state = State { direct: true, ..State::default() };
        state.dirs_live.insert(PathBuf::new());
        state.dirs_durable.insert(PathBuf::new());
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps that changed something since the last restart.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Cuts the power in the course of step `step` (the first is 1): that step may have happened in part, it and all
    /// later ones fail.
    pub fn cut_at(&self, step: u64) {
        self.lock().off_at = Some(step);
    }

    /// Counts a step that happened outside of this disk (a metadata commit); `false` when the power is off by then.
    pub fn step_outside(&self) -> bool {
        self.lock().step().is_ok()
    }

    /// Whether the power was cut.
    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Cuts the power now (unless it is off already) and comes up again with what survived.
    pub fn power_cut(&self, cut: Cut) {
        let mut state = self.lock();
        let mut random = match cut {
            Cut::Tear(seed) => seed | 1,
            Cut::Lose | Cut::Keep => 0,
        };
        let mut keep = move || match cut {
            Cut::Lose => false,
            Cut::Keep => true,
            Cut::Tear(_) => {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % 2 == 0
            }
        };
        let State { inodes, live, durable, dirs_live, dirs_durable, .. } = &mut *state;
        for inode in inodes.values_mut() {
            let mut content = std::mem::take(&mut inode.durable);
            for change in inode.unsynced.drain(..) {
                change.apply(&mut content, &mut keep);
            }
            inode.live.clone_from(&content);
            inode.durable = content;
        }
        let changed: BTreeSet<PathBuf> = live.keys().chain(durable.keys()).cloned().collect();
        for path in changed {
            if live.get(&path) != durable.get(&path) && keep() {
                match live.get(&path) {
                    Some(inode) => durable.insert(path, *inode),
                    None => durable.remove(&path),
                };
            }
        }
        let new_dirs: Vec<PathBuf> = dirs_live.difference(dirs_durable).cloned().collect();
        for dir in new_dirs {
            let parent = dir.parent().is_none_or(|parent| dirs_durable.contains(parent));
            if parent && keep() {
                dirs_durable.insert(dir);
            }
        }
        let gone: Vec<PathBuf> = dirs_durable.difference(dirs_live).cloned().collect();
        for dir in gone {
            if keep() {
                dirs_durable.remove(&dir);
            }
        }
        durable.retain(|path, _| path.parent().is_none_or(|parent| dirs_durable.contains(parent)));
        live.clone_from(durable);
        dirs_live.clone_from(dirs_durable);
        let named: BTreeSet<u64> = durable.values().copied().collect();
        inodes.retain(|id, _| named.contains(id));
        state.restart();
    }

    /// Kills the process: nothing is lost, but the handles are dead and the power is on again.
    pub fn kill(&self) {
        self.lock().restart();
    }

    /// Limits what all files together may hold, bytes; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Whether files can be opened for direct writes.
    pub fn set_direct(&self, direct: bool) {
        self.lock().direct = direct;
    }

    /// The paths of all files, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().live.keys().cloned().collect()
    }

    /// Changes stored bytes behind the engine's back, durably. `false` if there is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.lock();
        let Some(id) = state.live.get(path).copied() else { return false };
        let Some(inode) = state.inodes.get_mut(&id) else { return false };
        change(&mut inode.live);
        inode.durable.clone_from(&inode.live);
        inode.unsynced.clear();
        true
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        if self.off {
            return Err(power_is_off());
        }
        self.steps += 1;
        if self.off_at == Some(self.steps) {
            self.off = true;
            return Err(power_is_off());
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.boot += 1;
        self.steps = 0;
        self.off_at = None;
        self.off = false;
    }

    fn used(&self) -> u64 {
        self.inodes.values().map(|inode| inode.live.len() as u64).sum()
    }

    /// The file behind a handle of boot `boot`.
    fn file(&mut self, boot: u64, id: u64) -> io::Result<&mut Inode> {
        if self.boot != boot {
            return Err(power_is_off());
        }
        self.inodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        if state.off {
            return Err(power_is_off());
        }
        let found = state.live.get(path).copied();
        let inode = match (mode, found) {
            (OpenMode::Create, Some(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::Create, None) => {
                let dir = path.parent().unwrap_or(Path::new(""));
                if !state.dirs_live.contains(dir) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let outcome = state.step();
                state.inode_next += 1;
                let id = state.inode_next;
                state.inodes.insert(id, Inode::default());
                state.live.insert(path.to_owned(), id);
                outcome?;
                id
            }
            (OpenMode::Direct, _) if !state.direct => return Err(io::ErrorKind::InvalidInput.into()),
            (_, None) => return Err(io::ErrorKind::NotFound.into()),
            (_, Some(id)) => id,
        };
        Ok(Arc::new(SimFile { disk: self.clone(), boot: state.boot, inode, mode }))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let outcome = state.step();
        let removed = state.live.remove(path);
        outcome?;
        removed.map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.lock();
        if state.off {
            return Err(power_is_off());
        }
        if !state.dirs_live.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let entry = |path: &PathBuf, is_dir| {
            let inside = path.parent() == Some(dir);
            let name = path.file_name().filter(|_| inside)?.to_string_lossy().into_owned();
            Some(DirEntry { name, is_dir })
        };
        let files = state.live.keys().filter_map(|path| entry(path, false));
        let dirs = state.dirs_live.iter().filter_map(|path| entry(path, true));
        Ok(files.chain(dirs).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.dirs_live.contains(dir.parent().unwrap_or(Path::new(""))) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.dirs_live.contains(dir) {
            return if state.off { Err(power_is_off()) } else { Ok(()) };
        }
        let outcome = state.step();
        state.dirs_live.insert(dir.to_owned());
        outcome
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !state.dirs_live.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = |path: &Path| path.parent() == Some(dir);
        if state.live.keys().any(|path| inside(path)) || state.dirs_live.iter().any(|path| inside(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let outcome = state.step();
        state.dirs_live.remove(dir);
        outcome
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.step()?;
        if !state.dirs_live.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let State { live, durable, dirs_live, dirs_durable, .. } = &mut *state;
        let inside = |path: &Path| path.parent() == Some(dir);
        durable.retain(|path, _| !inside(path) || live.contains_key(path));
        durable.extend(live.iter().filter(|(path, _)| inside(path)).map(|(path, id)| (path.clone(), *id)));
        dirs_durable.retain(|path| !inside(path) || dirs_live.contains(path));
        dirs_durable.extend(dirs_live.iter().filter(|path| inside(path)).cloned());
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.lock();
        let total = state.capacity.unwrap_or(1 << 40);
        Ok(Space { available: total.saturating_sub(state.used()), total })
    }
}

#[derive(Debug, Clone)]
struct SimFile {
    disk: SimDisk,
    boot: u64,
    inode: u64,
    mode: OpenMode,
}

impl SimFile {
    fn change(&self, change: &Change) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.file(self.boot, self.inode)?;
        if state.off {
            return Err(power_is_off());
        }
        let room = state.capacity.map(|capacity| capacity.saturating_sub(state.used()));
        let inode = state.file(self.boot, self.inode)?;
        let len = match change {
            Change::Write { offset, bytes } => inode.live.len().max(offset + bytes.len()),
            Change::SetLen(len) => *len,
        };
        if room.is_some_and(|room| len.saturating_sub(inode.live.len()) as u64 > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let outcome = state.step();
        let inode = state.file(self.boot, self.inode)?;
        change.apply(&mut inode.live, || true);
        inode.unsynced.push(change.clone());
        outcome
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.lock();
        if state.off || self.mode == OpenMode::Direct {
            return Err(power_is_off());
        }
        let inode = state.file(self.boot, self.inode)?;
        let from = inode.live.get(offset as usize..).unwrap_or_default();
        let count = from.len().min(buffer.len());
        buffer.get_mut(..count).unwrap_or_default().copy_from_slice(from.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn read_at_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.write_vectored_at(&[IoSlice::new(bytes)], offset)
    }

    fn write_vectored_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if self.mode == OpenMode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let unaligned = |value: usize| !value.is_multiple_of(super::DIRECT_ALIGNMENT);
        let misplaced = |slice: &IoSlice<'_>| unaligned(slice.len()) || unaligned(slice.as_ptr().addr());
        if self.mode == OpenMode::Direct && (unaligned(offset as usize) || slices.iter().any(misplaced)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let count = bytes.len();
        self.change(&Change::Write { offset: offset as usize, bytes })?;
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.file(self.boot, self.inode).map(|inode| inode.live.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(&Change::SetLen(len as usize))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.file(self.boot, self.inode)?;
        state.step()?;
        let inode = state.file(self.boot, self.inode)?;
        inode.durable.clone_from(&inode.live);
        inode.unsynced.clear();
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn begin(&self, request: Request) -> Result<(), Request> {
        let begun = self.disk.lock().begun.as_ref().and_then(Begun::sender);
        let Some(begun) = begun else { return Err(request) };
        begun.send((self.clone(), request)).map_err(|refused| refused.0.1)
    }

    fn begins_writes(&self) -> bool {
        self.disk.lock().begun.is_some()
    }
}
