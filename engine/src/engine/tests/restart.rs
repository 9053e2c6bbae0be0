//! Sessions and blobs over a restart.

use super::world::{World, audit, block_on, content, digest, link, pull, push, repository, write};
use crate::disk::sim::Cut;
use crate::disk::{Disk, OpenMode};
use crate::limits::{BUFFER_BYTES, CHECKPOINT_BYTES};
use crate::meta::record::{FormatRecord, Record as _};
use crate::meta::{Batch, FORMAT_VERSION, HashState, TombstoneItem, key};
use crate::{Engine, EngineError};
use bytes::Bytes;
use std::path::Path;
use strata_types::{Algorithm, Digest, UploadId};

async fn session_with(engine: &Engine, bytes: &Bytes) -> UploadId {
    let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
    let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
    write(&mut writer, bytes, 50_000).await.unwrap();
    writer.suspend().await.unwrap();
    id
}

async fn finish_from(engine: &Engine, id: &UploadId, bytes: &Bytes, expected_offset: u64) -> Digest {
    let mut writer = engine.resume_upload(&repository(), id).await.unwrap();
    assert_eq!(writer.offset(), expected_offset);
    write(&mut writer, &bytes.slice(expected_offset as usize..), 77_777).await.unwrap();
    let digest = digest(bytes);
    writer.finish(&digest, link(engine, &digest)).await.unwrap();
    assert_eq!(pull(engine, &digest).await.unwrap().unwrap(), *bytes);
    digest
}

#[test]
fn blobs_and_sessions_outlive_a_kill() {
    for size in [10, 65_536, 65_537, 100_000, 2 * BUFFER_BYTES + 5, 11 * BUFFER_BYTES + 4096] {
        let mut world = World::new();
        let engine = world.open().unwrap();
        let bytes = content(1, size + 70_001);
        let (blob, id) = block_on(async {
            (
                push(&engine, &content(2, size), 60_000).await.unwrap(),
                session_with(&engine, &bytes.slice(..size)).await,
            )
        });
        world.kill(engine);
        let engine = world.open().unwrap();
        block_on(async {
            audit(&world, &engine, &[blob]).await;
            let status = engine.upload_status(&repository(), &id).await.unwrap();
            assert_eq!(status.offset, size as u64);
            let finished = finish_from(&engine, &id, &bytes, size as u64).await;
            audit(&world, &engine, &[blob, finished]).await;
        });
    }
}

#[test]
fn a_power_cut_takes_a_session_back_to_an_older_state_and_no_blob() {
    for (survivors, expected) in [(0, None), (1, Some(0)), (2, Some(300_000)), (9, Some(900_000))] {
        let mut world = World::new();
        let engine = world.open().unwrap();
        let bytes = content(1, 1_200_000);
        let (blob, id) = block_on(async {
            let blob = push(&engine, &content(2, 100_000), 60_000).await.unwrap();
            engine.parts().pending.wait_for_none();
            let id = session_with(&engine, &bytes.slice(..300_000)).await;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            write(&mut writer, &bytes.slice(300_000..900_000), 60_000).await.unwrap();
            writer.suspend().await.unwrap();
            (blob, id)
        });
        world.power_cut(Some(engine), Cut::Tear(survivors as u64 + 1), survivors);
        let engine = world.open().unwrap();
        block_on(async {
            audit(&world, &engine, &[blob]).await;
            match (engine.upload_status(&repository(), &id).await, expected) {
                (Ok(status), Some(offset)) => {
                    assert_eq!(status.offset, offset);
                    let finished = finish_from(&engine, &id, &bytes, offset).await;
                    audit(&world, &engine, &[blob, finished]).await;
                }
                (Err(EngineError::UploadUnknown), None) => {}
                (other, expected) => panic!("{other:?} instead of {expected:?}"),
            }
        });
    }
}

#[test]
fn a_dropped_writer_leaves_what_it_had() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let bytes = content(1, 3 * BUFFER_BYTES);
    let id = block_on(async {
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &bytes.slice(..2_500_001), 60_000).await.unwrap();
        drop(writer);
        engine.parts().pending.wait_for_none();
        id
    });
    world.kill(engine);
    let engine = world.open().unwrap();
    block_on(async {
        let finished = finish_from(&engine, &id, &bytes, 2_500_001).await;
        audit(&world, &engine, &[finished]).await;
    });
}

#[test]
fn a_hash_state_of_another_version_is_made_anew() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let bytes = content(1, 3 * BUFFER_BYTES + 1);
    block_on(async {
        let id = session_with(&engine, &bytes.slice(..2_000_000)).await;
        let mut record = engine.view().unwrap().upload(&id).unwrap().unwrap();
        record.hash = HashState { form: 77, bytes: Bytes::from_static(b"from the future") };
        let mut batch = Batch::new(engine.now());
        batch.put_upload(&id, &record);
        engine.commit(batch).await.unwrap();
        world.kill(engine);
        let engine = world.open().unwrap();
        let finished = finish_from(&engine, &id, &bytes, 2_000_000).await;
        audit(&world, &engine, &[finished]).await;
    });
}

#[test]
fn a_session_whose_file_is_lost_is_given_up() {
    for cut in [None, Some(1000)] {
        let world = World::new();
        let engine = world.open().unwrap();
        block_on(async {
            let id = session_with(&engine, &content(1, 200_000)).await;
            let path = world.disk.files().pop().unwrap();
            match cut {
                None => world.disk.remove(&path).unwrap(),
                Some(len) => assert!(world.disk.damage(&path, |bytes| bytes.truncate(len))),
            }
            for _ in 0..2 {
                let lost = engine.resume_upload(&repository(), &id).await;
                assert!(matches!(lost, Err(EngineError::UploadUnknown)), "{lost:?}");
            }
            audit(&world, &engine, &[]).await;
            assert!(world.disk.files().is_empty());
        });
    }
}

#[test]
fn a_long_stream_is_checkpointed_on_its_way() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let (chunk, chunks) = (content(1, BUFFER_BYTES), CHECKPOINT_BYTES as usize / BUFFER_BYTES + 20);
    let whole = Bytes::from(chunk.repeat(chunks));
    let id = block_on(async {
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        for _ in 0..chunks {
            writer.write(chunk.clone()).await.unwrap();
        }
        while engine.metrics().checkpoints == 0 {
            tokio::task::yield_now().await;
        }
        // The power goes before the writer could say good-bye.
        world.disk.cut_at(world.disk.steps() + 1);
        drop(writer);
        id
    });
    world.power_cut(Some(engine), Cut::Lose, 9);
    let engine = world.open().unwrap();
    block_on(async {
        let status = engine.upload_status(&repository(), &id).await.unwrap();
        assert_eq!(status.offset, CHECKPOINT_BYTES);
        let finished = finish_from(&engine, &id, &whole, CHECKPOINT_BYTES).await;
        audit(&world, &engine, &[finished]).await;
    });
}

#[test]
fn what_a_killed_request_left_in_the_file_is_gone_for_good() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let bytes = content(1, 2 * BUFFER_BYTES);
    let id = block_on(session_with(&engine, &bytes));
    let path = world.disk.files().pop().unwrap();
    world.kill(engine);
    // Synced by chance.
    world.disk.damage(&path, |bytes| bytes.extend_from_slice(&[7; 5000]));
    let engine = world.open().unwrap();
    // The rest of the session brings no byte that would have to be synced.
    let digest = block_on(finish_from(&engine, &id, &bytes, bytes.len() as u64));
    world.power_cut(Some(engine), Cut::Lose, 0);
    let engine = world.open().unwrap();
    block_on(audit(&world, &engine, &[digest]));
}

#[test]
fn recovery_removes_what_nobody_names_and_nothing_else() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let blobs = block_on(async {
        let mut blobs = Vec::new();
        for seed in 0..5 {
            blobs.push(push(&engine, &content(seed, 70_000), 70_000).await.unwrap());
            blobs.push(push(&engine, &content(seed, 700), 700).await.unwrap());
        }
        engine.parts().pending.wait_for_none();
        blobs
    });
    world.kill(engine);
    // A file beyond all that is named, a segment nobody knows, a tail behind the last frame, and strangers.
    for path in
        ["blobs/00000000/0000000000000fff", "segments/00000007.seg", "blobs/00000000/README", "segments/x"]
    {
        world.disk.open(Path::new(path), OpenMode::Create).unwrap();
    }
    world.disk.damage(&crate::segment::path(0), |bytes| bytes.extend_from_slice(b"torn"));
    for _ in 0..2 {
        let engine = world.open().unwrap();
        engine.parts().pending.wait_for_none();
        let files = world.disk.files();
        let strangers: Vec<_> =
            files.iter().filter(|path| path.ends_with("README") || path.ends_with("x")).collect();
        assert_eq!((files.len(), strangers.len()), (8, 2), "{files:?}");
        let length = world.disk.open(&crate::segment::path(0), OpenMode::Read).unwrap().len().unwrap();
        assert_eq!(length, 5 * (700 + 96));
        block_on(async {
            for blob in &blobs {
                assert!(pull(&engine, blob).await.unwrap().is_some());
            }
        });
        world.kill(engine);
    }
    for path in ["blobs/00000000/README", "segments/x"] {
        world.disk.remove(Path::new(path)).unwrap();
    }
    let engine = world.open().unwrap();
    block_on(async {
        let more = push(&engine, &content(99, 300), 300).await.unwrap();
        let large = push(&engine, &content(99, 100_000), 300).await.unwrap();
        assert!(engine.view().unwrap().last_generation().unwrap().unwrap() > 0xfff);
        audit(&world, &engine, &[blobs, vec![more, large]].concat()).await;
    });
}

#[test]
fn a_tombstone_in_an_old_directory_is_worked_off_for_good() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let id = block_on(session_with(&engine, &content(1, 100_000)));
    let path = world.disk.files().pop().unwrap();
    block_on(async {
        // As it is when a process ends between the commit of a removal and the removal, long after.
        let record = engine.view().unwrap().upload(&id).unwrap().unwrap();
        let mut batch = Batch::new(engine.now());
        batch.delete_upload(&id, &record);
        batch.put_tombstone(TombstoneItem::File { generation: record.generation.unwrap() }, 1);
        batch.set_settled(1_000_000);
        engine.commit(batch).await.unwrap();
    });
    world.kill(engine);
    let engine = world.open().unwrap();
    world.power_cut(Some(engine), Cut::Lose, 0);
    assert!(!world.disk.files().contains(&path), "the removal was not made durable");
    let engine = world.open().unwrap();
    block_on(audit(&world, &engine, &[]));
}

#[test]
fn blobs_without_their_metadata_are_not_taken_for_garbage() {
    for size in [100, 100_000] {
        let mut world = World::new();
        let engine = world.open().unwrap();
        block_on(push(&engine, &content(1, size), 60_000)).unwrap();
        world.kill(engine);
        let files = world.disk.files();
        let kept = world.lose_metadata();
        for _ in 0..2 {
            let error = world.open().unwrap_err();
            assert!(matches!(error, EngineError::Corrupt { .. }), "{error}");
            assert!(error.to_string().contains("No blob was touched"), "{error}");
        }
        assert_eq!(world.disk.files(), files);
        world.meta = kept;
        let engine = world.open().unwrap();
        block_on(audit(&world, &engine, &[digest(&content(1, size))]));
    }
}

#[test]
fn a_store_that_was_closed_has_all_settled() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    block_on(push(&engine, &content(1, 100_000), 100_000)).unwrap();
    engine.close();
    let named = engine.view().unwrap().last_generation().unwrap().unwrap();
    assert!(engine.view().unwrap().settled().unwrap() > named);
    world.kill(engine);
}

#[test]
fn segments_roll_and_are_found_again() {
    let mut world = World::new();
    world.config.segment_bytes_max = 10_000;
    let engine = world.open().unwrap();
    let mut blobs = block_on(async {
        let mut blobs = Vec::new();
        for seed in 0..20 {
            blobs.push(push(&engine, &content(seed, 4000), 4000).await.unwrap());
        }
        blobs
    });
    world.kill(engine);
    let engine = world.open().unwrap();
    block_on(async {
        for seed in 20..30 {
            blobs.push(push(&engine, &content(seed, 4000), 4000).await.unwrap());
        }
        audit(&world, &engine, &blobs).await;
        assert_eq!(engine.view().unwrap().last_segment().unwrap(), Some(9));
    });
    // The last segment is lost: what it held is not served, and new blobs go elsewhere.
    world.kill(engine);
    world.disk.remove(&crate::segment::path(9)).unwrap();
    let engine = world.open().unwrap();
    block_on(async {
        let lost = engine.open_blob(blobs.last().unwrap()).await;
        assert!(lost.unwrap().is_none());
        let fresh = push(&engine, &content(99, 4000), 4000).await.unwrap();
        assert!(pull(&engine, &fresh).await.unwrap().is_some());
        assert_eq!(engine.view().unwrap().last_segment().unwrap(), Some(10));
    });
}

#[test]
fn a_store_of_an_older_format_stays_as_it_is_where_nobody_asked_for_another() {
    let mut world = World::new();
    let engine = world.open().unwrap();
    let mut batch = Batch::new(engine.now());
    batch.put(key::meta("format"), FormatRecord { version: 1 }.encode());
    block_on(engine.commit(batch)).unwrap();
    world.kill(engine);
    world.config.upgrade = false;
    for _ in 0..2 {
        let refused = world.open().unwrap_err();
        assert!(
            matches!(refused, EngineError::FormatOld { found: 1, current: FORMAT_VERSION }),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("start the server on it once"), "{refused}");
    }
    world.config.upgrade = true;
    let engine = world.open().unwrap();
    world.kill(engine);
    world.config.upgrade = false;
    world.open().unwrap();
}
