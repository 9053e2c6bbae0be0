//! Judges the stored bytes of one blob: sound, damaged, or not to be read just now. Blocks; decides nothing about what follows.

use crate::blob::checksum_part;
use crate::blob::generation::file_path;
use crate::disk::{self, Disk, DiskFile, OpenMode};
use crate::ingest::Hasher;
use crate::limits::SCRUB_PIECE_BYTES;
use crate::meta::{BlobRecord, Damage, Placement};
use crate::segment;
use bytes::Bytes;
use std::io;
use strata_types::Digest;

/// Times that a read is tried which the device refuses.
const READ_ATTEMPTS_MAX: u32 = 3;

/// What the bytes of a blob are.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Those that were stored.
    Sound,
    /// Not those that were stored; in words, what is wrong.
    Damaged(Damage, String),
    /// The device refuses to read them, also when it is asked again. That says nothing about them.
    Unreadable(io::Error),
}

/// What a judgement goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The checksum; where that is not right, the digest decides.
    Checksum,
    /// The digest, which names the blob.
    Digest,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// For somebody who will read it again: it may stay in memory.
    Kept,
    /// In passing: what was not in memory does not stay there.
    Passing,
}

/// Reads the whole blob and judges it.
pub(crate) fn judge(
    disk: &dyn Disk,
    digest: &Digest,
    record: &BlobRecord,
    measure: Measure,
    reading: Reading,
) -> Verdict {
    let judged = match record.placement {
        Placement::File { generation } => {
            let file = disk.open(&file_path(generation), OpenMode::Read);
            file.and_then(|file| judge_file(&*file, digest, record, measure, reading))
        }
        Placement::Segment { segment, offset, length } => {
            let file = disk.open(&segment::path(segment), OpenMode::Read);
            file.and_then(|file| judge_frame(&*file, digest, record, (offset, length), reading))
        }
    };
    judged.unwrap_or_else(unreadable)
}

/// Judges a large blob by its open file.
///
/// # Errors
/// What keeps it from being read; [`unreadable`] says what that means.
pub(crate) fn judge_file(
    file: &dyn DiskFile,
    digest: &Digest,
    record: &BlobRecord,
    measure: Measure,
    reading: Reading,
) -> io::Result<Verdict> {
    if let Some(verdict) = judge_length(file, record.size)? {
        return Ok(verdict);
    }
    if measure == Measure::Checksum {
        let mut sum = 0_u64;
        read_whole(file, record.size, reading, |piece, offset| {
            sum = sum.wrapping_add(checksum_part(piece, offset));
        })?;
        if sum == record.checksum {
            return Ok(Verdict::Sound);
        }
    }
    // Read again, and by another measure: neither a passing trouble of the memory nor a wrong checksum condemns a blob.
    let mut hasher = Hasher::new(digest.algorithm());
    read_whole(file, record.size, reading, |piece, _| hasher.update(piece))?;
    let actual = hasher.finish();
    Ok(if actual == *digest {
        Verdict::Sound
    } else {
        Verdict::Damaged(Damage::Content, format!("its file holds bytes with digest {actual}"))
    })
}

/// What the length of a file says already.
pub(crate) fn judge_length(file: &dyn DiskFile, size: u64) -> io::Result<Option<Verdict>> {
    let len = file.len()?;
    Ok((len != size)
        .then(|| Verdict::Damaged(Damage::Length, format!("its file has {len} bytes instead of {size}"))))
}

/// Judges a small blob by the open file of its segment. One that does not look right is read a second time.
///
/// # Errors
/// As [`judge_file`].
pub(crate) fn judge_frame(
    file: &dyn DiskFile,
    digest: &Digest,
    record: &BlobRecord,
    (offset, length): (u64, u32),
    reading: Reading,
) -> io::Result<Verdict> {
    let mut why = "";
    for _ in 0..2 {
        let mut frame = vec![0; length as usize];
        read_piece(file, &mut frame, offset, reading)?;
        why = match segment::payload(&Bytes::from(frame), digest, record.size, record.checksum) {
            Ok(payload) if Hasher::digest(digest.algorithm(), &payload) == *digest => {
                return Ok(Verdict::Sound);
            }
            Ok(_) => "the frame is whole, and holds other bytes than its digest names",
            Err(why) => why,
        };
    }
    Ok(Verdict::Damaged(Damage::Content, format!("its frame at {offset}: {why}")))
}

/// What it means that a blob cannot be read.
pub(crate) fn unreadable(error: io::Error) -> Verdict {
    match error.kind() {
        io::ErrorKind::NotFound => Verdict::Damaged(Damage::Missing, disk::missing(&error)),
        io::ErrorKind::UnexpectedEof => Verdict::Damaged(Damage::Length, "its file is too short".into()),
        _ => Verdict::Unreadable(error),
    }
}

fn read_whole(
    file: &dyn DiskFile,
    size: u64,
    reading: Reading,
    mut take: impl FnMut(&[u8], u64),
) -> io::Result<()> {
    let mut buffer = vec![0; SCRUB_PIECE_BYTES];
    let mut offset = 0;
    while offset < size {
        let len = usize::try_from(size - offset).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..len).unwrap_or_default();
        read_piece(file, piece, offset, reading)?;
        take(piece, offset);
        offset += len as u64;
    }
    Ok(())
}

/// Fills the buffer. What the device refuses is tried again a few times.
///
/// # Errors
/// `UnexpectedEof` where the file ends before; else what the device said last.
pub(crate) fn read_piece(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    mut offset: u64,
    reading: Reading,
) -> io::Result<()> {
    let mut rest = buffer;
    let mut attempts = 0;
    while !rest.is_empty() {
        let read = match reading {
            Reading::Kept => file.read_at(rest, offset),
            Reading::Passing => file.read_at_passing(rest, offset),
        };
        match read {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                rest = rest.get_mut(count..).unwrap_or_default();
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                attempts += 1;
                if attempts == READ_ATTEMPTS_MAX {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}
