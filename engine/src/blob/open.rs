//! Opening a blob: from its row to bytes that were verified, or to a file whose length was.

use super::generation::file_path;
use super::read::{BlobBody, BlobFile, FileKey, Handles, Reader};
use crate::disk::{self, Disk, OpenMode, read_exact_at};
use crate::error::EngineError;
use crate::meta::{BlobRecord, Damage, Placement};
use crate::segment;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use strata_types::Digest;

/// Why a blob cannot be opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Its bytes are not those that were stored; in words, where and what.
    Damaged(Damage, String),
    /// The device has trouble, which says nothing about the bytes.
    Failed(EngineError),
}

/// Opens the blob that `record` places.
pub(crate) async fn open(
    digest: &Digest,
    record: &BlobRecord,
    handles: &Arc<Handles>,
    reader: &Reader,
) -> Result<BlobBody, Unopened> {
    let outcome = match record.placement {
        Placement::File { generation } => open_file(digest, record.size, generation, handles, reader).await,
        Placement::Segment { segment, offset, length } => {
            let place = (segment, offset, length);
            read_frame(digest, record, place, handles, reader).await.map(BlobBody::Bytes)
        }
    };
    reader.counters.blobs_opened.add(1);
    outcome
}

/// Whether the bytes of a blob are there: a file by its length, a frame by its checksum. `true` also where that cannot be told at
/// the moment. Blocks.
pub(crate) fn is_whole(disk: &dyn Disk, digest: &Digest, record: &BlobRecord) -> bool {
    let outcome = match record.placement {
        Placement::File { generation } => {
            disk.open(&file_path(generation), OpenMode::Read).and_then(|file| Ok(file.len()? == record.size))
        }
        Placement::Segment { segment, offset, length } => {
            let mut frame = vec![0; length as usize];
            disk.open(&segment::path(segment), OpenMode::Read)
                .and_then(|file| read_exact_at(&*file, &mut frame, offset))
                .map(|()| segment::payload(&frame.into(), digest, record.size, record.checksum).is_ok())
        }
    };
    // Trouble with the device says nothing about the bytes.
    outcome.unwrap_or_else(|error| {
        !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
    })
}

async fn open_file(
    digest: &Digest,
    size: u64,
    generation: u64,
    handles: &Arc<Handles>,
    reader: &Reader,
) -> Result<BlobBody, Unopened> {
    let key = FileKey::Blob(generation);
    let file = handles.get(key, reader).await.map_err(|error| unreadable(digest, error))?;
    // Asked every time, also of a file that was open already: it costs a fraction of a microsecond, and a file that somebody
    // cut must fail here rather than in the middle of an answer.
    let len = file.len().map_err(|error| unreadable(digest, error))?;
    if len != size {
        handles.forget(key);
        let what = format!("its file has {len} bytes instead of {size}");
        return Err(Unopened::Damaged(Damage::Length, what));
    }
    Ok(BlobBody::File(BlobFile::new(file, size, reader.clone())))
}

async fn read_frame(
    digest: &Digest,
    record: &BlobRecord,
    (segment, offset, length): (u32, u64, u32),
    handles: &Arc<Handles>,
    reader: &Reader,
) -> Result<Bytes, Unopened> {
    let file = handles.get(FileKey::Segment(segment), reader).await;
    let file = file.map_err(|error| unreadable(digest, error))?;
    let frame =
        reader.read(&file, offset, length as usize).await.map_err(|error| unreadable(digest, error))?;
    segment::payload(&frame, digest, record.size, record.checksum)
        .map_err(|why| Unopened::Damaged(Damage::Content, format!("segment {segment} at {offset}: {why}")))
}

fn unreadable(digest: &Digest, error: io::Error) -> Unopened {
    match error.kind() {
        io::ErrorKind::NotFound => Unopened::Damaged(Damage::Missing, disk::missing(&error)),
        io::ErrorKind::UnexpectedEof => Unopened::Damaged(Damage::Length, "its segment is too short".into()),
        _ => Unopened::Failed(EngineError::io(format!("blob {digest}"), error)),
    }
}
