//! What the machine can do at most: how fast one core hashes, how often a file can be synced, how fast a file is written and synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fdatasync};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::content::Noise;

/// The piece that is hashed and written at a time.
const PIECE_BYTES: usize = 1 << 20;
/// What direct I/O is aligned to.
const ALIGNMENT: usize = 4096;

/// Measures in this folder, which has to be on the disk in question; `bytes` is the size of the large file.
///
/// # Errors
/// When a file cannot be written.
pub fn measure(folder: &Path, bytes: usize, span: Duration) -> io::Result<Value> {
    let piece = Noise::new(1).bytes(PIECE_BYTES);
    Ok(json!({
        "sha256_bytes_per_second": sha256(&piece, span),
        "append_sync_per_second": { "4096": appends(folder, 4096, span)?, "65536": appends(folder, 65536, span)? },
        "write_sync_bytes_per_second": write(folder, bytes, 0)?,
        // Not every file system takes it (tmpfs does not): then there is no figure.
        "direct_write_sync_bytes_per_second": write(folder, bytes, OFlags::DIRECT.bits()).ok(),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "a rate to read")]
fn rate(amount: usize, since: Instant) -> f64 {
    amount as f64 / since.elapsed().as_secs_f64()
}

fn sha256(piece: &[u8], span: Duration) -> f64 {
    let (started, mut hasher, mut hashed) = (Instant::now(), Sha256::default(), 0);
    while started.elapsed() < span {
        hasher.update(piece);
        hashed += piece.len();
    }
    std::hint::black_box(hasher.finalize());
    rate(hashed, started)
}

/// How often a second `bytes` can be appended to a file and synced.
fn appends(folder: &Path, bytes: usize, span: Duration) -> io::Result<f64> {
    let path = folder.join("appends");
    let (mut file, piece) = (File::create(&path)?, vec![1; bytes]);
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < span {
        file.write_all(&piece)?;
        fdatasync(&file)?;
        count += 1;
    }
    let rate = rate(count, started);
    fs::remove_file(path)?;
    Ok(rate)
}

/// How fast a file of `bytes` bytes is written and synced, in bytes per second.
fn write(folder: &Path, bytes: usize, flags: u32) -> io::Result<f64> {
    let path = folder.join("large");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(flags.cast_signed())
        .open(&path)?;
    let memory = Noise::new(2).bytes(PIECE_BYTES + ALIGNMENT);
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let piece = memory.get(aligned..aligned + PIECE_BYTES).unwrap_or_default();
    let started = Instant::now();
    let written = (0..bytes / PIECE_BYTES)
        .try_for_each(|number| file.write_all_at(piece, (number * PIECE_BYTES) as u64));
    let written = written.and_then(|()| Ok(fdatasync(&file)?));
    let rate = rate(bytes / PIECE_BYTES * PIECE_BYTES, started);
    fs::remove_file(path)?;
    written.map(|()| rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_above_nothing_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let limits = measure(folder.path(), 4 << 20, Duration::from_millis(5)).unwrap();
        for field in [
            "/sha256_bytes_per_second",
            "/append_sync_per_second/4096",
            "/append_sync_per_second/65536",
            "/write_sync_bytes_per_second",
        ] {
            assert!(
                limits.pointer(field).and_then(Value::as_f64).is_some_and(|rate| rate > 1.0),
                "{field}: {limits}"
            );
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
