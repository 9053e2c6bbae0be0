//! A store on simulated ports, that can be killed and robbed of its power, and whose state can be audited.

use crate::blob::generation::file_path;
use crate::check::{CheckOptions, Verify, check_with};
use crate::disk::sim::Cut;
use crate::ingest::Hasher;
use crate::limits::PAGE_ROWS;
use crate::meta::{Batch, Placement, TombstoneItem};
use crate::{BlobBody, Engine, EngineError};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::path::PathBuf;
use strata_types::{Algorithm, Digest, RepositoryName};

pub(crate) use crate::sim::World;

impl World {
    pub(crate) fn new() -> Self {
        Self::with_begins(false)
    }

    /// A world whose disk takes requests, as a ring does, or leaves them to threads.
    pub(crate) fn with_begins(begins: bool) -> Self {
        let world = Self::make().unwrap();
        world.disk.set_begins(begins);
        world
    }

    /// As [`World::end`].
    pub(crate) fn kill(&mut self, engine: Engine) {
        self.end(engine).unwrap();
    }

    /// As [`World::exchange_metadata`].
    pub(crate) fn lose_metadata(&mut self) -> std::sync::Arc<crate::sim::StepMeta> {
        self.exchange_metadata().unwrap()
    }

    /// As [`World::cut`].
    pub(crate) fn power_cut(&mut self, engine: Option<Engine>, cut: Cut, survivors: usize) {
        self.cut(engine, cut, survivors).unwrap();
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

pub(crate) fn repository() -> RepositoryName {
    RepositoryName::parse("library/box").unwrap()
}

/// `len` bytes that depend on `seed`.
pub(crate) fn content(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// What the service layer commits with a blob.
pub(crate) fn link(engine: &Engine, digest: &Digest) -> Batch {
    let mut batch = Batch::new(engine.now());
    batch.link_blob(&repository(), digest);
    batch
}

/// Pushes a blob in one request, in pieces of `piece` bytes.
pub(crate) async fn push(engine: &Engine, bytes: &Bytes, piece: usize) -> Result<Digest, EngineError> {
    let digest = digest(bytes);
    let mut writer = engine.ingest(Algorithm::Sha256, None)?;
    write(&mut writer, bytes, piece).await?;
    writer.finish(&digest, link(engine, &digest)).await?;
    Ok(digest)
}

pub(crate) async fn write(
    writer: &mut crate::UploadWriter,
    bytes: &Bytes,
    piece: usize,
) -> Result<(), EngineError> {
    let mut offset = 0;
    while offset < bytes.len() {
        let end = bytes.len().min(offset + piece);
        writer.write(bytes.slice(offset..end)).await?;
        offset = end;
    }
    Ok(())
}

/// Reads a whole blob; `None` where it is not there.
pub(crate) async fn pull(engine: &Engine, digest: &Digest) -> Result<Option<Bytes>, EngineError> {
    match engine.open_blob(digest).await? {
        None => Ok(None),
        Some(BlobBody::Bytes(bytes)) => Ok(Some(bytes)),
        Some(BlobBody::File(file)) => {
            let mut whole = Vec::new();
            while (whole.len() as u64) < file.len() {
                let part = file.read_at(whole.len() as u64, 300_000).await;
                whole.extend_from_slice(&part.map_err(|error| EngineError::io("read", error))?);
            }
            Ok(Some(whole.into()))
        }
    }
}

/// Verifies that every row has its bytes and that acknowledged blobs are there; returns the files of the rows.
pub(crate) async fn audit_blobs(engine: &Engine, acknowledged: &[Digest]) -> BTreeSet<PathBuf> {
    let view = engine.view().unwrap();
    let blobs = view.stored_blobs(None, PAGE_ROWS).unwrap();
    assert!(blobs.len() < PAGE_ROWS);
    let mut named = BTreeSet::new();
    for (digest, stored) in &blobs {
        let record = stored.served().unwrap();
        let bytes = pull(engine, digest).await.unwrap().unwrap();
        assert_eq!(Hasher::digest(digest.algorithm(), &bytes), *digest);
        assert_eq!(bytes.len() as u64, record.size);
        assert_eq!(crate::blob::checksum(&bytes), record.checksum);
        if let Placement::File { generation } = record.placement {
            named.insert(file_path(generation));
        }
    }
    for digest in acknowledged {
        assert!(blobs.iter().any(|(there, _)| there == digest), "an acknowledged blob is gone");
        assert!(view.link(&repository(), digest).unwrap().is_some(), "its link is gone");
    }
    named
}

/// Verifies that every row has its bytes and every file its row, that no tombstone of a file is left, that `acknowledged` blobs are
/// there. For a store that was just opened, or is idle.
pub(crate) async fn audit(world: &World, engine: &Engine, acknowledged: &[Digest]) {
    engine.parts().pending.wait_for_none();
    let view = engine.view().unwrap();
    let mut named = audit_blobs(engine, acknowledged).await;
    for (id, record) in view.uploads(None, PAGE_ROWS).unwrap() {
        if let Some(generation) = record.generation {
            assert!(named.insert(file_path(generation)), "session {id} shares a file");
        }
    }
    let (segments, files): (Vec<PathBuf>, Vec<PathBuf>) =
        world.disk.files().into_iter().partition(|path| path.starts_with("segments"));
    assert_eq!(files, named.into_iter().collect::<Vec<_>>(), "files and rows");
    for path in segments {
        let number = crate::segment::parse_name(path.file_name().unwrap().to_str().unwrap()).unwrap();
        // Or all that is in it is dead, and too little to be given back.
        let dead = view
            .tombstones(None, PAGE_ROWS)
            .unwrap()
            .into_iter()
            .any(|(item, _)| matches!(item, TombstoneItem::Frame { segment, .. } if segment == number));
        assert!(dead || number <= view.last_segment().unwrap().unwrap_or(0));
    }
    let tombstones = view.tombstones(None, PAGE_ROWS).unwrap();
    let of_files = tombstones.iter().filter(|(item, _)| matches!(item, TombstoneItem::File { .. }));
    assert_eq!(of_files.count(), 0, "a tombstone is left");
    let options = CheckOptions { verify: Verify::Digest, threads: 1, ..CheckOptions::default() };
    let mut findings = check_with(&world.disk, &view, &options).unwrap().findings;
    findings.retain(|finding| {
        !finding.message.starts_with("no row names this file") || !finding.place.starts_with("segments/")
    });
    assert_eq!(findings, [], "the store's own check");
    let metrics = engine.metrics();
    assert_eq!((metrics.buffers_used, metrics.writers), (0, 0), "a buffer or a writer leaked");
    assert_eq!(engine.parts().sessions.count(), 0, "a session stays taken");
}
