//! Files against the rows that should name them.

use super::Checker;
use crate::blob::generation::{BLOBS, directory_of, directory_path, parse_name};
use crate::disk::{DirEntry, OpenMode};
use crate::error::EngineError;
use crate::limits::PAGE_ROWS;
use crate::segment::{self, SEGMENTS};
use std::io;
use std::path::{Path, PathBuf};

impl Checker<'_> {
    /// Looks for files of blobs that no row names.
    pub(super) fn blob_files(&self) -> Result<(), EngineError> {
        for entry in self.list(Path::new(BLOBS))? {
            let Some(directory) = parse_name(&entry.name, 8).filter(|_| entry.is_dir) else {
                self.stranger(BLOBS, &entry);
                continue;
            };
            let path = directory_path(directory);
            for entry in self.list(&path)? {
                let generation = parse_name(&entry.name, 16)
                    .filter(|generation| !entry.is_dir && directory_of(*generation) == directory);
                match generation {
                    Some(generation) => self.blob_file(generation, &path.join(&entry.name)),
                    None => self.stranger(&path.display().to_string(), &entry),
                }
            }
        }
        Ok(())
    }

    fn blob_file(&self, generation: u64, path: &Path) {
        self.log.count(|report| report.files += 1);
        // A row that cannot be decoded was reported with the metadata; that the owner's row names the file, too.
        if matches!(self.view.generation(generation), Ok(None)) {
            self.unnamed(path);
        }
    }

    fn unnamed(&self, path: &Path) {
        self.log.unnamed(path);
        let len = self.disk.open(path, OpenMode::Read).and_then(|file| file.len()).unwrap_or(0);
        self.log.count(|report| {
            report.unnamed_files += 1;
            report.unnamed_bytes += len;
        });
        self.log.note(path.display().to_string(), format!("no row names this file of {len} bytes"));
    }

    /// Looks for segments that no row names, and adds up what is dead in the others.
    pub(super) fn segments(&self) -> Result<(), EngineError> {
        for entry in self.list(Path::new(SEGMENTS))? {
            let Some(segment) = segment::parse_name(&entry.name).filter(|_| !entry.is_dir) else {
                self.stranger(SEGMENTS, &entry);
                continue;
            };
            self.log.count(|report| report.segments += 1);
            let path = segment::path(segment);
            match self.live_bytes(segment) {
                Ok(0) => self.unnamed(&path),
                Ok(live) => {
                    let len = self.disk.open(&path, OpenMode::Read).and_then(|file| file.len()).unwrap_or(0);
                    self.log.count(|report| report.segment_bytes_dead += len.saturating_sub(live));
                }
                // Rows that cannot be read were reported with the metadata.
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Bytes of named frames in a segment.
    fn live_bytes(&self, segment: u32) -> Result<u64, EngineError> {
        let (mut live, mut after) = (0, None);
        loop {
            let page = self.view.frames(segment, after, PAGE_ROWS)?;
            live += page.iter().map(|(_, frame)| u64::from(frame.length)).sum::<u64>();
            match page.last() {
                Some((offset, _)) if page.len() == PAGE_ROWS => after = Some(*offset),
                _ => return Ok(live),
            }
        }
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirEntry>, EngineError> {
        match self.disk.list(directory) {
            Ok(mut entries) => {
                entries.sort_unstable_by(|left, right| left.name.cmp(&right.name));
                Ok(entries)
            }
            // A store that never held a large blob, or a small one, need not have it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(EngineError::io(directory.display().to_string(), error)),
        }
    }

    fn stranger(&self, directory: &str, entry: &DirEntry) {
        let place = PathBuf::from(directory).join(&entry.name);
        self.log.note(place.display().to_string(), "not a name that the store gives; it is left alone");
    }
}
