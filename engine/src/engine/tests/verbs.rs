//! What each verb promises, without any failure of the machine.

use super::world::{World, audit, block_on, content, digest, link, pull, push, repository, write};
use crate::disk::Disk;
use crate::ingest::Hasher;
use crate::limits::{BUFFER_BYTES, SMALL_BLOB_BYTES_MAX};
use crate::meta::{Batch, Placement};
use crate::{BlobBody, EngineError};
use bytes::Bytes;
use std::path::Path;
use std::time::Duration;
use strata_types::{Algorithm, RepositoryName, UploadId};

#[test]
fn every_size_comes_back_as_it_was() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let mut stored = Vec::new();
        let sizes = [
            0,
            1,
            4095,
            4096,
            SMALL_BLOB_BYTES_MAX,
            SMALL_BLOB_BYTES_MAX + 1,
            BUFFER_BYTES,
            BUFFER_BYTES + 1,
        ];
        for (seed, size) in sizes.into_iter().chain([9 * BUFFER_BYTES + 4097, 12 * BUFFER_BYTES]).enumerate()
        {
            let bytes = content(seed as u64, size);
            let pushed = push(&engine, &bytes, 48_271).await.unwrap();
            assert_eq!(pull(&engine, &pushed).await.unwrap().unwrap(), bytes, "{size}");
            let record = engine.view().unwrap().blob(&pushed).unwrap().unwrap();
            let small = matches!(record.placement, Placement::Segment { .. });
            assert_eq!((record.size, small), (size as u64, size <= SMALL_BLOB_BYTES_MAX));
            stored.push(pushed);
        }
        assert!(engine.open_blob(&digest(b"never pushed")).await.unwrap().is_none());
        assert_eq!(engine.metrics().blobs_stored, stored.len() as u64);
        audit(&world, &engine, &stored).await;
    });
}

#[test]
fn bytes_read_into_the_writers_memory_are_as_good_as_written_ones() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(7, 3 * BUFFER_BYTES + 4097);
        let pushed = digest(&bytes);
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        writer.expect(bytes.len() as u64);
        // A small beginning is in no buffer yet when the first memory is asked for.
        writer.write(bytes.slice(..1000)).await.unwrap();
        for (step, most) in [1, 4095, 0, 70_000, BUFFER_BYTES, 300_000].into_iter().cycle().enumerate() {
            let at = writer.offset() as usize;
            if at == bytes.len() {
                break;
            }
            match step % 7 {
                5 => writer.park().await.unwrap(),
                6 => writer.write(bytes.slice(at..bytes.len().min(at + most))).await.unwrap(),
                _ => {
                    let memory = writer.space().await.unwrap();
                    assert!(!memory.is_empty());
                    let count = memory.len().min(most).min(bytes.len() - at);
                    let is_filled = count == memory.len();
                    memory[..count].copy_from_slice(&bytes[at..at + count]);
                    writer.advance(count).await.unwrap();
                    assert_eq!(writer.offset() as usize, at + count);
                    // A full one is on its way to the disk, and may be back already.
                    let is_kept = is_filled || engine.metrics().buffers_used > 0;
                    assert!(is_kept || count == 0 || at + count < 4096, "only an empty buffer is given back");
                }
            }
        }
        writer.finish(&pushed, link(&engine, &pushed)).await.unwrap();
        assert_eq!(pull(&engine, &pushed).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[pushed]).await;
    });
}

#[test]
fn sha512_is_as_good() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        for size in [3, 300_000] {
            let bytes = content(1, size);
            let digest = Hasher::digest(Algorithm::Sha512, &bytes);
            let mut writer = engine.ingest(Algorithm::Sha512, Some(size as u64)).unwrap();
            writer.write(bytes.clone()).await.unwrap();
            writer.finish(&digest, link(&engine, &digest)).await.unwrap();
            assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        }
        // A session that was hashed with one algorithm and is closed with another.
        let bytes = content(2, 3 * BUFFER_BYTES + 17);
        let digest = Hasher::digest(Algorithm::Sha512, &bytes);
        let session = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap();
        let mut writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
        write(&mut writer, &bytes, 100_000).await.unwrap();
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn what_is_there_is_not_stored_again() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        for size in [100, 200_000] {
            let bytes = content(1, size);
            let digest = push(&engine, &bytes, 1000).await.unwrap();
            push(&engine, &bytes, 70_000).await.unwrap();
            // The same through a session that has a file by the time it is finished.
            let session = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap();
            let mut writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            writer.suspend().await.unwrap();
            let writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
            writer.finish(&digest, link(&engine, &digest)).await.unwrap();
            let gone = engine.upload_status(&repository(), &session.id).await;
            assert!(matches!(gone, Err(EngineError::UploadUnknown)));
            audit(&world, &engine, &[digest]).await;
        }
        let metrics = engine.metrics();
        assert_eq!((metrics.blobs_stored, metrics.blobs_deduplicated, metrics.bytes_stored), (2, 4, 200_100));
    });
}

#[test]
fn other_bytes_than_said_leave_nothing() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let said = digest(b"something else");
        for size in [0, 10, 100_000, 2_000_000] {
            let bytes = content(1, size);
            let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
            write(&mut writer, &bytes, 10_000).await.unwrap();
            let error = writer.finish(&said, link(&engine, &said)).await.unwrap_err();
            assert!(
                matches!(error, EngineError::DigestMismatch { expected, actual } if expected == said && actual == digest(&bytes))
            );
            let session = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap();
            let mut writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
            write(&mut writer, &bytes, 10_000).await.unwrap();
            writer.suspend().await.unwrap();
            let writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
            let error = writer.finish(&said, link(&engine, &said)).await.unwrap_err();
            assert!(matches!(error, EngineError::DigestMismatch { .. }));
            let gone = engine.resume_upload(&repository(), &session.id).await;
            assert!(matches!(gone, Err(EngineError::UploadUnknown)));
        }
        assert!(engine.view().unwrap().stored_blobs(None, 1).unwrap().is_empty());
        assert_eq!(engine.metrics().digest_mismatches, 8);
        audit(&world, &engine, &[]).await;
        assert!(world.disk.files().is_empty());
    });
}

#[test]
fn a_session_grows_chunk_by_chunk() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(3, 9 * BUFFER_BYTES + 123_457);
        let digest = digest(&bytes);
        let session = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap();
        assert_eq!(session.offset, 0);
        let mut offset = 0;
        for chunk in [1, 5000, 0, 60_000, 500_000, 3_000_000, 4096, bytes.len()] {
            let end = bytes.len().min(offset + chunk);
            let mut writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
            assert_eq!(writer.offset(), offset as u64);
            write(&mut writer, &bytes.slice(offset..end), 65_536).await.unwrap();
            let status = writer.suspend().await.unwrap();
            offset = end;
            assert_eq!((status.id, status.offset), (session.id, offset as u64));
            assert_eq!(engine.upload_status(&repository(), &session.id).await.unwrap(), status);
        }
        let writer = engine.resume_upload(&repository(), &session.id).await.unwrap();
        let record = writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        assert_eq!(record.size, bytes.len() as u64);
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn a_session_is_one_repositorys_and_one_writers() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let other = RepositoryName::parse("library/other").unwrap();
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        assert!(matches!(engine.upload_status(&other, &id).await, Err(EngineError::UploadUnknown)));
        assert!(matches!(engine.resume_upload(&other, &id).await, Err(EngineError::UploadUnknown)));
        assert!(matches!(engine.cancel_upload(&other, &id).await, Err(EngineError::UploadUnknown)));
        let unknown = UploadId::from_random([9; 16]);
        assert!(matches!(
            engine.resume_upload(&repository(), &unknown).await,
            Err(EngineError::UploadUnknown)
        ));
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        writer.write(content(1, 70_000)).await.unwrap();
        let busy = engine.resume_upload(&repository(), &id).await;
        assert!(matches!(busy, Err(EngineError::UploadBusy { offset: 70_000 })));
        assert_eq!(engine.upload_status(&repository(), &id).await.unwrap().offset, 70_000);
        // The client goes away, and is back at once: it finds all that came.
        drop(writer);
        let writer = engine.resume_upload(&repository(), &id).await.unwrap();
        assert_eq!(writer.offset(), 70_000);
        drop(writer);
        engine.cancel_upload(&repository(), &id).await.unwrap();
        assert!(matches!(engine.cancel_upload(&repository(), &id).await, Err(EngineError::UploadUnknown)));
        audit(&world, &engine, &[]).await;
        assert!(world.disk.files().is_empty());
    });
}

#[test]
fn a_cancelled_session_stops_its_writer() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        for end in 0..3 {
            let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            let bytes = content(1, 150_000);
            writer.write(bytes.clone()).await.unwrap();
            engine.cancel_upload(&repository(), &id).await.unwrap();
            assert!(matches!(
                engine.upload_status(&repository(), &id).await,
                Err(EngineError::UploadUnknown)
            ));
            let again = engine.resume_upload(&repository(), &id).await;
            assert!(matches!(again, Err(EngineError::UploadUnknown)));
            assert!(matches!(
                engine.cancel_upload(&repository(), &id).await,
                Err(EngineError::UploadUnknown)
            ));
            assert!(matches!(writer.write(bytes.clone()).await, Err(EngineError::UploadUnknown)));
            let digest = digest(&bytes);
            let outcome = match end {
                0 => writer.suspend().await.map(|_| ()),
                1 => writer.finish(&digest, link(&engine, &digest)).await.map(|_| ()),
                _ => {
                    drop(writer);
                    engine.resume_upload(&repository(), &id).await.map(|_| ())
                }
            };
            assert!(matches!(outcome, Err(EngineError::UploadUnknown)), "{end}");
            audit(&world, &engine, &[]).await;
            assert!(world.disk.files().is_empty());
        }
    });
}

#[test]
fn unused_sessions_expire_with_their_bytes() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let expiry = world.config.upload_expiry;
        let old = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let used = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        for id in [old, used] {
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            writer.write(content(1, 200_000)).await.unwrap();
            writer.suspend().await.unwrap();
        }
        world.clock.advance(expiry / 2);
        assert_eq!(engine.expire_uploads().await.unwrap(), 0);
        engine.resume_upload(&repository(), &used).await.unwrap().suspend().await.unwrap();
        world.clock.advance(expiry / 2);
        assert!(matches!(engine.upload_status(&repository(), &old).await, Err(EngineError::UploadUnknown)));
        assert_eq!(engine.expire_uploads().await.unwrap(), 1);
        audit(&world, &engine, &[]).await;
        assert_eq!(world.disk.files().len(), 1);
        // A session that is being written to is alive, whatever its row says.
        let writer = engine.resume_upload(&repository(), &used).await.unwrap();
        world.clock.advance(expiry + Duration::from_secs(1));
        assert_eq!(engine.expire_uploads().await.unwrap(), 0);
        assert_eq!(writer.suspend().await.unwrap().offset, 200_000);
        assert_eq!(engine.upload_status(&repository(), &used).await.unwrap().offset, 200_000);
        world.clock.advance(expiry);
        assert_eq!(engine.expire_uploads().await.unwrap(), 1);
        audit(&world, &engine, &[]).await;
        assert!(world.disk.files().is_empty());
    });
}

#[test]
fn a_parked_writer_holds_no_buffer_and_goes_on() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(5, 3 * BUFFER_BYTES + 999);
        let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
        let mut offset = 0;
        for size in [100, 65_536, 3, 10, 4096, 5000, BUFFER_BYTES + 1, 1, bytes.len()] {
            let end = bytes.len().min(offset + size);
            writer.write(bytes.slice(offset..end)).await.unwrap();
            writer.park().await.unwrap();
            offset = end;
            while engine.metrics().buffers_used > 0 {
                tokio::task::yield_now().await;
            }
        }
        let digest = digest(&bytes);
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn an_expectation_of_the_caller_that_fails_stores_nothing() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let nowhere = RepositoryName::parse("no/where").unwrap();
        for size in [100, 100_000] {
            let bytes = content(1, size);
            let digest = digest(&bytes);
            let mut with = link(&engine, &digest);
            with.expect_link(&nowhere, &digest);
            let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
            writer.write(bytes.clone()).await.unwrap();
            assert!(matches!(writer.finish(&digest, with.clone()).await, Err(EngineError::Conflict)));
            assert!(engine.open_blob(&digest).await.unwrap().is_none());
            // A session stays, and can be finished with another batch.
            let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            writer.write(bytes.clone()).await.unwrap();
            writer.suspend().await.unwrap();
            let writer = engine.resume_upload(&repository(), &id).await.unwrap();
            assert!(matches!(writer.finish(&digest, with).await, Err(EngineError::Conflict)));
            let writer = engine.resume_upload(&repository(), &id).await.unwrap();
            writer.finish(&digest, link(&engine, &digest)).await.unwrap();
            assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
            audit(&world, &engine, &[digest]).await;
        }
    });
}

#[test]
fn ranges_of_a_large_blob_are_exact() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let bytes = content(1, 700_000);
        let digest = push(&engine, &bytes, 7000).await.unwrap();
        let Some(BlobBody::File(file)) = engine.open_blob(&digest).await.unwrap() else { panic!("a file") };
        for (offset, len) in
            [(0, 1), (699_999, 1), (1, 300_000), (650_000, 100_000), (700_000, 10), (800_000, 1)]
        {
            let expected = bytes.slice(offset.min(bytes.len())..bytes.len().min(offset + len));
            assert_eq!(file.read_at(offset as u64, len).await.unwrap(), expected, "{offset} {len}");
        }
        assert!(file.as_fd().is_none() && file.len() == 700_000);
    });
}

#[test]
fn a_damaged_blob_is_replaced_when_it_is_pushed_again() {
    type Damage = fn(&World, &Path);
    let damages: [Damage; 3] = [
        |world, path| world.disk.remove(path).unwrap(),
        |world, path| assert!(world.disk.damage(path, |bytes| bytes.truncate(4096))),
        |world, path| assert!(world.disk.damage(path, |bytes| bytes[2000] ^= 1)),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        for (size, session) in [(5000, false), (5000, true), (150_000, false), (150_000, true)] {
            if number == 2 && size > 65_536 {
                // A changed byte of a file is found by a check, not at a glance.
                continue;
            }
            let world = World::new();
            let engine = world.open().unwrap();
            block_on(async {
                let bytes = content(1, size);
                let digest = push(&engine, &bytes, 60_000).await.unwrap();
                engine.parts().pending.wait_for_none();
                damage(&world, &world.disk.files()[0]);
                if session {
                    let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
                    let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
                    writer.write(bytes.clone()).await.unwrap();
                    writer.finish(&digest, link(&engine, &digest)).await.unwrap();
                } else {
                    push(&engine, &bytes, 60_000).await.unwrap();
                }
                // A segment that was removed is still open for the appends of this process.
                if number > 0 || size > 65_536 {
                    assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes, "{number} {size}");
                    audit(&world, &engine, &[digest]).await;
                }
                assert_eq!(engine.metrics().blobs_stored, 2);
            });
        }
    }
}

#[test]
fn a_closed_store_refuses_and_says_so() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
        writer.write(Bytes::from_static(b"some")).await.unwrap();
        engine.close();
        engine.close();
        assert!(engine.ingest(Algorithm::Sha256, None).is_err());
        assert!(engine.start_upload(&repository(), Algorithm::Sha256).await.is_err());
        assert!(engine.commit(Batch::new(engine.now())).await.is_err());
        assert!(writer.write(Bytes::from_static(b"more")).await.is_err());
        let digest = digest(b"some");
        assert!(writer.finish(&digest, Batch::new(engine.now())).await.is_err());
    });
}
