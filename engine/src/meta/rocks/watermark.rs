//! The watermark: the last sequence number that was synced, written after each sync, itself never synced.
//!
//! After a power cut the write-ahead log may end in a hole, and RocksDB's replay stops there in silence. A damaged block in
//! the middle of the log looks the same, but there acknowledged commits would be lost in silence too. The watermark tells
//! them apart: it survives the death of the process, and after a power cut it holds an older number, never a greater one.

use super::failure;
use crate::error::EngineError;
use rocksdb::{DB, Options};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Name of the file. 16 bytes: the number and the xxh3 of its 8 bytes, both little-endian.
const FILE: &str = "synced";

/// The open file.
#[derive(Debug)]
pub(super) struct Watermark {
    file: File,
    written: AtomicU64,
}

impl Watermark {
    /// Opens the file and notes that everything up to `sequence`, with which the database was opened, is durable.
    pub(super) fn open(directory: &Path, library: &Path, sequence: u64) -> Result<Self, EngineError> {
        let path = directory.join(FILE);
        check(&path, library, sequence)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| EngineError::io(format!("opening {}", path.display()), error))?;
        let watermark = Self { file, written: AtomicU64::new(0) };
        watermark.advance(sequence);
        Ok(watermark)
    }

    /// Notes that everything up to `sequence` is durable.
    pub(super) fn advance(&self, sequence: u64) {
        if self.written.swap(sequence, Ordering::Relaxed) == sequence {
            return;
        }
        if let Err(error) = self.file.write_all_at(&encode(sequence), 0) {
            // The commit is durable. A watermark that stays behind only notices less.
            tracing::warn!(%error, "noting what is durable");
        }
    }
}

/// Writes the file anew, for a copy of a database that has everything up to `sequence`.
pub(super) fn write(directory: &Path, sequence: u64) -> Result<(), EngineError> {
    let path = directory.join(FILE);
    std::fs::write(&path, encode(sequence))
        .map_err(|error| EngineError::io(format!("writing {}", path.display()), error))
}

/// Makes sure, without changing a file, that tables and write-ahead log together give everything that was acknowledged. An
/// opening that writes would note a lost log as if nothing had been in it, and a log put back later would not be read.
pub(super) fn verify(directory: &Path, library: &Path, options: &Options) -> Result<(), EngineError> {
    let path = directory.join(FILE);
    if !path.exists() {
        return Ok(());
    }
    if !library.exists() || std::fs::read_dir(library).is_ok_and(|mut entries| entries.next().is_none()) {
        return check(&path, library, 0);
    }
    failure::refuse_headless(library)?;
    let db =
        DB::open_for_read_only(options, library, false).map_err(|error| failure::on_open(library, &error))?;
    check(&path, library, db.latest_sequence_number())
}

/// Compares what the database ends at with what the file at `path` says was acknowledged.
fn check(path: &Path, library: &Path, found: u64) -> Result<(), EngineError> {
    let synced = match std::fs::read(path) {
        Ok(bytes) => decode(&bytes).unwrap_or(0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(EngineError::io(format!("reading {}", path.display()), error)),
    };
    if found >= synced {
        return Ok(());
    }
    Err(failure::unreadable(
        library,
        &format!(
            "its write-ahead log is damaged or missing: {} acknowledged changes are missing (it ends at {found}, {synced} were \
             acknowledged). To go on without them, remove {}",
            synced - found,
            path.display()
        ),
    ))
}

fn encode(sequence: u64) -> [u8; 16] {
    let number = sequence.to_le_bytes();
    let sum = xxh3_64(&number).to_le_bytes();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(number.into_iter().chain(sum)) {
        *to = from;
    }
    bytes
}

/// `None` for anything that is not a whole watermark: after a power cut the file may hold zeros.
fn decode(bytes: &[u8]) -> Option<u64> {
    let (number, sum) = bytes.split_first_chunk::<8>()?;
    let sum: [u8; 8] = sum.try_into().ok()?;
    (xxh3_64(number) == u64::from_le_bytes(sum)).then_some(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_whole_watermarks_only() {
        assert_eq!(decode(&encode(77)), Some(77));
        assert_eq!(decode(&[0; 16]), None);
        assert_eq!(decode(&encode(77)[..15]), None);
        assert_eq!(decode(&[]), None);
        let mut flipped = encode(77);
        flipped[3] ^= 1;
        assert_eq!(decode(&flipped), None);
    }
}
