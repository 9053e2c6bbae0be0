//! Blobs and sessions against their bytes.

use super::{Checker, Verify};
use crate::blob::checksum_part;
use crate::blob::generation::file_path;
use crate::disk::{DiskFile, OpenMode, read_exact_at};
use crate::error::EngineError;
use crate::ingest::Hasher;
use crate::limits::{BUFFER_BYTES, PAGE_ROWS, UPLOADS_PER_PAGE};
use crate::meta::key::{self, Key};
use crate::meta::record::Record;
use crate::meta::{BlobRecord, Damage, Placement, StoredBlob, UploadRecord};
use crate::segment;
use bytes::Bytes;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use strata_types::{Digest, UploadId};

impl Checker<'_> {
    /// Looks at the bytes of every blob, a page of rows at a time, on several threads.
    pub(super) fn blobs(&self) -> Result<(), EngineError> {
        self.rows(key::table::BLOB, PAGE_ROWS, |rows| {
            // A row that cannot be decoded, or is one of quarantine, was reported with the metadata.
            let blobs: Vec<(Digest, BlobRecord)> = rows
                .into_iter()
                .filter_map(|(key, value)| match (Key::decode(&key), StoredBlob::decode(value)) {
                    (Ok(Key::Blob { digest }), Ok(stored)) => stored.served().map(|record| (digest, record)),
                    _ => None,
                })
                .collect();
            let next = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..self.threads().min(blobs.len()) {
                    scope.spawn(|| {
                        while let Some((digest, record)) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                            self.blob(digest, record);
                        }
                    });
                }
            });
        })
    }

    /// Looks at the file of every upload session.
    pub(super) fn uploads(&self) -> Result<(), EngineError> {
        self.rows(key::table::UPLOAD, UPLOADS_PER_PAGE, |rows| {
            for (key, value) in rows {
                if let (Ok(Key::Upload { id }), Ok(record)) = (Key::decode(&key), UploadRecord::decode(value))
                {
                    self.upload(&id, &record);
                }
            }
        })
    }

    /// Hands on all rows of a table, page by page. One that the store cannot read was reported with the metadata.
    fn rows(
        &self,
        table: u8,
        limit: usize,
        mut take: impl FnMut(Vec<(Bytes, Bytes)>),
    ) -> Result<(), EngineError> {
        let mut after: Option<Bytes> = None;
        loop {
            let Ok(page) = self.view.raw_page(&[table], after.as_deref(), limit) else { return Ok(()) };
            let full = page.len() == limit;
            after = page.last().map(|(key, _)| key.clone());
            take(page);
            if !full {
                return Ok(());
            }
        }
    }

    fn threads(&self) -> usize {
        match self.options.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            count => count,
        }
    }

    fn blob(&self, digest: &Digest, record: &BlobRecord) {
        self.log.count(|report| {
            report.blobs += 1;
            report.blob_bytes += record.size;
        });
        let outcome = match record.placement {
            Placement::File { generation } => self.file(digest, record, &file_path(generation)),
            Placement::Segment { segment, offset, length } => {
                self.frame(digest, record, &segment::path(segment), offset, length)
            }
        };
        if let Err((damage, why)) = outcome {
            self.log.blob(digest, record, damage, why);
        }
    }

    fn file(&self, digest: &Digest, record: &BlobRecord, path: &Path) -> Outcome {
        let name = path.display();
        let file = self.disk.open(path, OpenMode::Read).map_err(|error| unread(&name, &error))?;
        let len = file.len().map_err(|error| unread(&name, &error))?;
        if len != record.size {
            let why = format!("{name} has {len} bytes instead of {}", record.size);
            return Err((Some(Damage::Length), why));
        }
        if self.options.verify == Verify::Size {
            return Ok(());
        }
        let mut hasher = (self.options.verify == Verify::Digest).then(|| Hasher::new(digest.algorithm()));
        let checksum = read_whole(&*file, len, |part| {
            if let Some(hasher) = &mut hasher {
                hasher.update(part);
            }
        });
        let checksum = checksum.map_err(|error| unread(&name, &error))?;
        if checksum != record.checksum {
            let why = format!("{name} has another checksum than it was stored with");
            return Err((Some(Damage::Content), why));
        }
        same(digest, hasher.map(Hasher::finish), &name)
    }

    fn frame(&self, digest: &Digest, record: &BlobRecord, path: &Path, offset: u64, length: u32) -> Outcome {
        let name = format!("{} at {offset}", path.display());
        let file = self.disk.open(path, OpenMode::Read).map_err(|error| unread(&name, &error))?;
        if self.options.verify == Verify::Size {
            let len = file.len().map_err(|error| unread(&name, &error))?;
            return if offset + u64::from(length) <= len {
                Ok(())
            } else {
                Err((Some(Damage::Length), format!("{name}: the segment ends before")))
            };
        }
        let mut frame = vec![0; length as usize];
        read_exact_at(&*file, &mut frame, offset).map_err(|error| unread(&name, &error))?;
        let payload = segment::payload(&frame.into(), digest, record.size, record.checksum)
            .map_err(|why| (Some(Damage::Content), format!("{name}: {why}")))?;
        let verify = self.options.verify == Verify::Digest;
        same(digest, verify.then(|| Hasher::digest(digest.algorithm(), &payload)), &name)
    }

    fn upload(&self, id: &UploadId, record: &UploadRecord) {
        self.log.count(|report| report.uploads += 1);
        let place = || format!("upload {id}");
        if record.offset != record.file_bytes + record.tail.len() as u64 {
            self.log.error(place(), "its offset is not what its file and its tail hold together");
        }
        let Some(generation) = record.generation else { return };
        let path = file_path(generation);
        let len = self.disk.open(&path, OpenMode::Read).and_then(|file| file.len());
        match len {
            Ok(len) if len >= record.file_bytes => {}
            Ok(len) => {
                let expected = record.file_bytes;
                self.log.error(place(), format!("{} has {len} bytes instead of {expected}", path.display()));
            }
            Err(error) => self.log.error(place(), format!("{}: {error}", path.display())),
        }
    }
}

/// Reads a whole file and returns its checksum.
fn read_whole(file: &dyn DiskFile, len: u64, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut offset, mut checksum) = (0, 0_u64);
    while offset < len {
        let count = usize::try_from(len - offset).unwrap_or(usize::MAX).min(BUFFER_BYTES);
        let part = buffer.get_mut(..count).unwrap_or_default();
        read_exact_at(file, part, offset)?;
        checksum = checksum.wrapping_add(checksum_part(part, offset));
        take(part);
        offset += count as u64;
    }
    Ok(checksum)
}

/// What is wrong with a blob: damage, or nothing but that it cannot be read, and that in words.
type Outcome = Result<(), (Option<Damage>, String)>;

fn unread(name: &dyn Display, error: &io::Error) -> (Option<Damage>, String) {
    let damage = match error.kind() {
        io::ErrorKind::NotFound => Some(Damage::Missing),
        io::ErrorKind::UnexpectedEof => Some(Damage::Length),
        _ => None,
    };
    (damage, format!("{name}: {error}"))
}

fn same(digest: &Digest, actual: Option<Digest>, name: &dyn Display) -> Outcome {
    match actual {
        Some(actual) if actual != *digest => {
            Err((Some(Damage::Content), format!("{name} holds bytes with digest {actual}")))
        }
        _ => Ok(()),
    }
}
