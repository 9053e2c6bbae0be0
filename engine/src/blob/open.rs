//! Opening a blob: from its row to bytes that were verified, or to a file whose length was.

use super::generation::file_path;
use super::read::{BlobBody, BlobFile, FileKey, Handles, Reader};
use crate::disk::{Disk, OpenMode, read_exact_at};
use crate::error::EngineError;
use crate::meta::{BlobRecord, Placement};
use crate::segment;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use strata_types::Digest;

/// Opens the blob that `record` places.
///
/// # Errors
/// [`EngineError::Corrupt`] where its bytes are missing, too few, too many or, in a segment, not those that were stored;
/// [`EngineError::Io`].
pub(crate) async fn open(
    digest: &Digest,
    record: &BlobRecord,
    handles: &Arc<Handles>,
    reader: &Reader,
) -> Result<BlobBody, EngineError> {
    let outcome = match record.placement {
        Placement::File { generation } => open_file(digest, record.size, generation, handles, reader).await,
        Placement::Segment { segment, offset, length } => {
            let place = (segment, offset, length);
            read_frame(digest, record, place, handles, reader).await.map(BlobBody::Bytes)
        }
    };
    reader.counters.blobs_opened.add(1);
    if let Err(error @ EngineError::Corrupt { .. }) = &outcome {
        reader.counters.corruptions.add(1);
        tracing::error!(%digest, %error, "a stored blob is damaged and is not served");
    }
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
) -> Result<BlobBody, EngineError> {
    let key = FileKey::Blob(generation);
    let file = handles.get(key, reader).await.map_err(|error| unreadable(digest, error))?;
    // Asked every time, also of a file that was open already: it costs a fraction of a microsecond, and a file that somebody
    // cut must fail here rather than in the middle of an answer.
    let len = file.len().map_err(|error| unreadable(digest, error))?;
    if len != size {
        handles.forget(key);
        return Err(EngineError::corrupt(format!(
            "blob {digest}: its file has {len} bytes instead of {size}"
        )));
    }
    Ok(BlobBody::File(BlobFile::new(file, size, reader.clone())))
}

async fn read_frame(
    digest: &Digest,
    record: &BlobRecord,
    (segment, offset, length): (u32, u64, u32),
    handles: &Arc<Handles>,
    reader: &Reader,
) -> Result<Bytes, EngineError> {
    let file = handles.get(FileKey::Segment(segment), reader).await;
    let file = file.map_err(|error| unreadable(digest, error))?;
    let frame =
        reader.read(&file, offset, length as usize).await.map_err(|error| unreadable(digest, error))?;
    segment::payload(&frame, digest, record.size, record.checksum)
        .map_err(|why| EngineError::corrupt(format!("blob {digest}: segment {segment} at {offset}: {why}")))
}

fn unreadable(digest: &Digest, error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::NotFound => EngineError::corrupt(format!("blob {digest}: its file is missing")),
        io::ErrorKind::UnexpectedEof => {
            EngineError::corrupt(format!("blob {digest}: its segment is too short"))
        }
        _ => EngineError::io(format!("blob {digest}"), error),
    }
}
