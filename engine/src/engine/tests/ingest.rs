//! Sessions under names that clients choose: found again, one writer at a time, begun anew where they do not fit, gone without a trace.

use super::world::{World, audit, block_on, content, digest, link, pull, repository, write};
use crate::limits::BUFFER_BYTES;
use crate::meta::PinRecord;
use crate::{Engine, EngineError, IngestClaim, UploadWriter};
use std::time::Duration;
use strata_types::{Algorithm, Digest, RepositoryName};

fn claim(reference: &str) -> IngestClaim {
    IngestClaim { reference: reference.to_owned(), total: 0, expected: None, started_at: None }
}

async fn open(engine: &Engine, claim: &IngestClaim) -> Result<UploadWriter, EngineError> {
    engine.open_ingest(&repository(), claim).await.map(|(_, writer)| writer)
}

async fn offset(engine: &Engine, reference: &str) -> Result<u64, EngineError> {
    let id = Engine::ingest_id(&repository(), reference);
    engine.ingest_status(&repository(), &id).await.map(|status| status.offset)
}

/// Every row of ingests and sessions is gone.
fn assert_none(engine: &Engine) {
    let view = engine.view().unwrap();
    assert_eq!(view.ingests(&repository(), None, 9).unwrap(), []);
    assert_eq!(view.uploads(None, 9).unwrap(), []);
}

#[test]
fn a_name_leads_back_to_its_bytes_after_a_kill() {
    let mut world = World::new();
    let bytes = content(1, BUFFER_BYTES + 70_001);
    let mut engine = world.open().unwrap();
    let expected = Some(digest(&bytes));
    let said = IngestClaim { total: bytes.len() as u64, expected, ..claim("layer-1") };
    let mut begun = None;
    for (from, to) in [(0, 0), (0, 1000), (1000, 100_000), (100_000, bytes.len())] {
        let (status, mut writer) = block_on(engine.open_ingest(&repository(), &said)).unwrap();
        assert_eq!((status.offset, writer.offset()), (from as u64, from as u64));
        assert_eq!(*begun.get_or_insert(status.record.started_at), status.record.started_at);
        assert_eq!((status.record.total, status.record.expected), (said.total, said.expected));
        assert!(status.updated_at >= status.record.started_at);
        block_on(write(&mut writer, &bytes.slice(from..to), 60_000)).unwrap();
        assert_eq!(block_on(writer.digest()).unwrap(), digest(&bytes.slice(..to)));
        // The client is gone.
        drop(writer);
        engine.parts().pending.wait_for_none();
        world.kill(engine);
        world.clock.advance(Duration::from_mins(1));
        engine = world.open().unwrap();
        assert_eq!(block_on(offset(&engine, "layer-1")).unwrap(), to as u64);
    }
    block_on(async {
        let mut writer = open(&engine, &claim("layer-1")).await.unwrap();
        let named = writer.digest().await.unwrap();
        writer.finish(&named, link(&engine, &named)).await.unwrap();
        assert_eq!(pull(&engine, &named).await.unwrap().unwrap(), bytes);
        assert!(matches!(offset(&engine, "layer-1").await, Err(EngineError::UploadUnknown)));
        assert_none(&engine);
        audit(&world, &engine, &[named]).await;
    });
}

#[test]
fn one_writer_on_one_name_at_a_time() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let mut first = open(&engine, &claim("a")).await.unwrap();
        first.write(content(1, 500)).await.unwrap();
        let second = open(&engine, &claim("a")).await;
        assert!(matches!(second, Err(EngineError::UploadBusy { offset: 500 })), "{second:?}");
        // Others are other sessions: another name, and the same one elsewhere.
        let elsewhere = RepositoryName::parse("else/where").unwrap();
        let beside = open(&engine, &claim("b")).await.unwrap();
        let there = engine.open_ingest(&elsewhere, &claim("a")).await.unwrap().1;
        assert_eq!((beside.offset(), there.offset(), offset(&engine, "a").await.unwrap()), (0, 0, 500));
        // One that is given up while it is written to is unknown at once, and gone when its writer is.
        engine.abort_ingest(&repository(), "a").await.unwrap();
        assert!(matches!(offset(&engine, "a").await, Err(EngineError::UploadUnknown)));
        assert!(matches!(open(&engine, &claim("a")).await, Err(EngineError::UploadBusy { .. })));
        assert!(matches!(first.write(content(1, 5)).await, Err(EngineError::UploadUnknown)));
        drop(first);
        assert_eq!(open(&engine, &claim("a")).await.unwrap().offset(), 0);
        there.discard().await.unwrap();
        beside.discard().await.unwrap();
        engine.parts().pending.wait_for_none();
        for (name, reference) in [(&repository(), "a"), (&repository(), "b"), (&elsewhere, "a")] {
            let aborted = engine.abort_ingest(name, reference).await;
            let is_there = name == &repository() && reference == "a";
            assert_eq!(aborted.is_ok(), is_there, "{name} {reference}: {aborted:?}");
        }
        assert_none(&engine);
        audit(&world, &engine, &[]).await;
    });
}

#[test]
fn what_does_not_fit_is_begun_anew() {
    let world = World::new();
    let engine = world.open().unwrap();
    let bytes = content(1, 100_000);
    block_on(async {
        for (first, second, goes_on) in [(0, 7, true), (7, 0, true), (7, 7, true), (7, 8, false)] {
            let of = |total| IngestClaim { total, ..claim("layer") };
            let mut writer = open(&engine, &of(first)).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            writer.suspend().await.unwrap();
            let (status, writer) = engine.open_ingest(&repository(), &of(second)).await.unwrap();
            let expected = if goes_on { bytes.len() as u64 } else { 0 };
            assert_eq!((status.offset, writer.offset()), (expected, expected), "{first} {second}");
            assert_eq!(status.record.total, if goes_on { first } else { second });
            writer.discard().await.unwrap();
            assert_none(&engine);
        }
        // One that has expired, before anybody removed it and after.
        for is_removed in [false, true] {
            let mut writer = open(&engine, &claim("layer")).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            writer.suspend().await.unwrap();
            world.clock.advance(world.config.upload_expiry);
            assert!(matches!(offset(&engine, "layer").await, Err(EngineError::UploadUnknown)));
            if is_removed {
                assert_eq!(engine.expire_uploads().await.unwrap(), 1);
                assert_none(&engine);
            }
            assert_eq!(open(&engine, &claim("layer")).await.unwrap().offset(), 0);
        }
        engine.parts().pending.wait_for_none();
        engine.cancel_uploads(&[repository()], engine.now()).await.unwrap();
        assert_none(&engine);
        audit(&world, &engine, &[]).await;
    });
}

#[test]
fn a_session_whose_file_is_lost_is_begun_anew() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let mut writer = open(&engine, &claim("layer")).await.unwrap();
        writer.write(content(1, 100_000)).await.unwrap();
        writer.suspend().await.unwrap();
        let file = world.disk.files().into_iter().find(|path| path.starts_with("blobs")).unwrap();
        assert!(world.disk.damage(&file, |bytes| bytes.truncate(5)));
        assert_eq!(open(&engine, &claim("layer")).await.unwrap().offset(), 0);
        engine.parts().pending.wait_for_none();
        engine.abort_ingest(&repository(), "layer").await.unwrap();
        audit(&world, &engine, &[]).await;
    });
}

#[test]
fn the_digest_of_what_came_so_far_is_asked_without_an_end() {
    let world = World::new();
    let engine = world.open().unwrap();
    let bytes = content(9, 3 * BUFFER_BYTES + 4097);
    block_on(async {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let expected = Some(crate::ingest::Hasher::digest(algorithm, &bytes));
            let mut writer = open(&engine, &IngestClaim { expected, ..claim("layer") }).await.unwrap();
            let mut at = 0;
            for size in [0, 1, 65_535, 1, BUFFER_BYTES, 4096, bytes.len()] {
                let end = bytes.len().min(at + size);
                write(&mut writer, &bytes.slice(at..end), 50_000).await.unwrap();
                if size == 4096 {
                    writer.park().await.unwrap();
                }
                at = end;
                let whole = crate::ingest::Hasher::digest(algorithm, &bytes.slice(..at));
                assert_eq!(writer.digest().await.unwrap(), whole, "{algorithm:?} {at}");
            }
            let whole = writer.digest().await.unwrap();
            writer.finish(&whole, link(&engine, &whole)).await.unwrap();
        }
        audit(&world, &engine, &[digest(&bytes)]).await;
    });
}

/// An ingest in pieces that becomes a pinned blob, one that becomes another, one that is given up.
pub(super) async fn content_comes_in(
    engine: &Engine,
    promised: &std::sync::Mutex<Vec<Digest>>,
) -> Result<(), EngineError> {
    for (seed, size) in [(1, 4000), (2, 200_000), (1, 4000)] {
        let bytes = content(seed, size);
        let said = IngestClaim { total: size as u64, ..claim(&format!("layer {seed}")) };
        for (from, to) in [(0, size / 2), (size / 2, size)] {
            let mut writer = open(engine, &said).await?;
            // In a second life it may stand anywhere, also behind this piece.
            let at = writer.offset() as usize;
            assert!(at <= size && (at >= from || from > 0), "{at}");
            write(&mut writer, &bytes.slice(at..to.max(at)), 60_000).await?;
            writer.suspend().await?;
        }
        let mut writer = open(engine, &said).await?;
        let named = writer.digest().await?;
        let mut batch = link(engine, &named);
        if engine.view()?.pin(&repository(), &named)?.is_some() {
            writer.discard().await?;
            continue;
        }
        let at = batch.at();
        let labels = [("size".to_owned(), size.to_string())].into();
        batch.pin_blob(&repository(), &named, &PinRecord { created_at: at, updated_at: at, labels });
        writer.finish(&named, batch).await?;
        promised.lock().unwrap().push(named);
    }
    let mut writer = open(engine, &claim("given up")).await?;
    writer.write(content(5, 100_000)).await?;
    writer.suspend().await?;
    engine.abort_ingest(&repository(), "given up").await?;
    engine.parts().pending.wait_for_none();
    Ok(())
}
