//! What a checkpoint names: which files a backup needs, and how much of each.

use crate::blob::generation::file_path;
use crate::disk::{Disk, RealDisk};
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::meta::{GenerationOwner, View};
use crate::segment::{self, SEGMENTS};
use std::io;
use std::path::{Path, PathBuf};

/// One file of the store as the backup needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    kind: Kind,
    number: u64,
    /// Bytes from its start on.
    pub(super) bytes: u64,
    /// Whether the store can still write to it, so that it must not be shared.
    pub(super) changes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Segment,
}

impl Item {
    /// Its path in a data directory.
    pub(super) fn path(&self) -> PathBuf {
        match self.kind {
            Kind::File => file_path(self.number),
            // A segment's number was made of 32 bits.
            Kind::Segment => segment::path(self.number as u32),
        }
    }
}

/// Lists what `view` names. Memory: some bytes for each large blob.
///
/// # Errors
/// [`EngineError::Corrupt`], [`EngineError::Io`].
pub(super) fn plan(view: &View, data_dir: &Path) -> Result<Vec<Item>, EngineError> {
    let mut items = segments(view, data_dir)?;
    let mut from = 0;
    loop {
        let page = view.generations(from, PAGE_ROWS)?;
        let last = page.last().map(|(generation, _)| *generation);
        let full = page.len() == PAGE_ROWS;
        for (generation, owner) in page {
            items.extend(file(view, generation, &owner)?);
        }
        match last.and_then(|last| last.checked_add(1)).filter(|_| full) {
            Some(next) => from = next,
            None => return Ok(items),
        }
    }
}

fn file(view: &View, generation: u64, owner: &GenerationOwner) -> Result<Option<Item>, EngineError> {
    let (bytes, changes) = match owner {
        // INVARIANT: a file whose blob is committed is never written again.
        GenerationOwner::Blob(digest) => (view.blob(digest)?.map(|blob| blob.size), false),
        // INVARIANT: the bytes that a session's record claims are synced, and never written again.
        GenerationOwner::Upload(id) => (view.upload(id)?.map(|upload| upload.file_bytes), true),
    };
    Ok(bytes.map(|bytes| Item { kind: Kind::File, number: generation, bytes, changes }))
}

/// Segments with a named frame. Only the last one can still grow; of it, what lies behind the last named frame is left out, as
/// recovery would cut it off.
fn segments(view: &View, data_dir: &Path) -> Result<Vec<Item>, EngineError> {
    let Some(last) = view.last_segment()? else { return Ok(Vec::new()) };
    let entries = match RealDisk::new(data_dir).list(Path::new(SEGMENTS)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(EngineError::io(SEGMENTS, error)),
    };
    let mut numbers: Vec<u32> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| segment::parse_name(&entry.name))
        .collect();
    // One that is named and not there is to be missed, not left out.
    numbers.push(last);
    numbers.sort_unstable();
    numbers.dedup();
    let mut items = Vec::new();
    for number in numbers.into_iter().filter(|number| *number <= last) {
        let Some((offset, frame)) = view.last_frame(number)? else { continue };
        let bytes = offset + u64::from(frame.length);
        items.push(Item { kind: Kind::Segment, number: number.into(), bytes, changes: number == last });
    }
    Ok(items)
}
