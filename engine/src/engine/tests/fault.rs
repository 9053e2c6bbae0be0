//! The disk fails: every kind of operation, at every countdown, with every error. The upload fails or succeeds, never anything in
//! between; reads go on; a failed sync stops all writes, a full disk none but its own.

use super::world::{World, audit, block_on, content, digest, link, pull, push, repository, write};
use crate::disk::faulty::{Fault, OPERATIONS, Operation};
use crate::disk::sim::Cut;
use crate::limits::{BUFFER_BYTES, CHECKPOINT_BYTES};
use crate::{Engine, EngineError, Health};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use strata_types::{Algorithm, Digest};

async fn pushes(engine: &Engine) -> Vec<Result<Digest, EngineError>> {
    let mut outcomes = Vec::new();
    for (seed, size) in [(1, 500), (2, 70_000), (3, 2 * BUFFER_BYTES + 1)] {
        outcomes.push(push(engine, &content(seed, size), 60_000).await);
    }
    outcomes.push(in_session(engine).await);
    outcomes
}

async fn in_session(engine: &Engine) -> Result<Digest, EngineError> {
    let bytes = content(4, 300_000);
    let id = engine.start_upload(&repository(), Algorithm::Sha256).await?.id;
    let mut writer = engine.resume_upload(&repository(), &id).await?;
    write(&mut writer, &bytes.slice(..200_000), 60_000).await?;
    writer.suspend().await?;
    let mut writer = engine.resume_upload(&repository(), &id).await?;
    write(&mut writer, &bytes.slice(200_000..), 60_000).await?;
    let digest = digest(&bytes);
    writer.finish(&digest, link(engine, &digest)).await.map(|_| digest)
}

#[test]
fn any_fault_fails_an_upload_wholly_or_not_at_all() {
    for begins in [false, true] {
        at_any_fault(begins);
    }
}

fn at_any_fault(begins: bool) {
    for operation in OPERATIONS {
        for fault in [Fault::Eio, Fault::Enospc, Fault::Eintr, Fault::Short] {
            for countdown in 0.. {
                let mut world = World::with_begins(begins);
                let engine = world.open().unwrap();
                engine.parts().pending.wait_for_none();
                world.faults.order(operation, fault, countdown, 1);
                let outcomes = block_on(pushes(&engine));
                let acknowledged: Vec<Digest> =
                    outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).copied().collect();
                engine.parts().pending.wait_for_none();
                let struck = world.faults.heal() > 0;
                let what = format!("begins {begins}: {operation:?} {fault:?} {countdown}: {outcomes:?}");
                if !struck || matches!(fault, Fault::Short) {
                    assert_eq!(acknowledged.len(), outcomes.len(), "{what}");
                }
                let stays = matches!(engine.health(), Health::Ready);
                let sync = matches!(operation, Operation::Sync | Operation::SyncDir);
                assert_eq!(stays, !(struck && sync && fault == Fault::Eio), "{what}");
                block_on(async {
                    for digest in &acknowledged {
                        assert!(pull(&engine, digest).await.unwrap().is_some(), "{what}");
                    }
                    if stays {
                        // Another try of the same succeeds, and once the store is opened again nothing is left over.
                        for outcome in pushes(&engine).await {
                            outcome.unwrap();
                        }
                    } else {
                        assert!(matches!(
                            push(&engine, &content(9, 9), 9).await,
                            Err(EngineError::Poisoned { .. })
                        ));
                    }
                });
                world.kill(engine);
                let engine = world.open().unwrap();
                block_on(audit(&world, &engine, &acknowledged));
                if !struck {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_full_disk_in_the_middle_of_a_push_leaves_the_session_usable() {
    let mut world = World::new();
    world.config.reserve_bytes = 0;
    let engine = world.open().unwrap();
    let bytes = content(1, 4 * BUFFER_BYTES);
    block_on(async {
        engine.parts().pending.wait_for_none();
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &bytes.slice(..=BUFFER_BYTES), 60_000).await.unwrap();
        writer.suspend().await.unwrap();
        world.disk.set_capacity(Some(2 * BUFFER_BYTES as u64 + 10));
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        let outcome = match write(&mut writer, &bytes.slice(BUFFER_BYTES + 1..), 60_000).await {
            Ok(()) => writer.suspend().await.map(|_| ()),
            Err(error) => {
                drop(writer);
                Err(error)
            }
        };
        assert!(matches!(outcome, Err(EngineError::NoSpace)), "{outcome:?}");
        assert_eq!(engine.upload_status(&repository(), &id).await.unwrap().offset, BUFFER_BYTES as u64 + 1);
        assert_eq!(engine.health(), Health::Ready);
        world.disk.set_capacity(None);
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &bytes.slice(BUFFER_BYTES + 1..), 60_000).await.unwrap();
        let digest = digest(&bytes);
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn below_the_reserve_uploads_stop_and_deletions_go_on() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        engine.parts().pending.wait_for_none();
        let small = push(&engine, &content(1, 100), 100).await.unwrap();
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let used = 100 + 96;
        world.disk.set_capacity(Some(used + world.config.reserve_bytes * 3 / 4));
        // The last answer about free space may be believed for a moment.
        while matches!(engine.health(), Health::Ready) {
            std::thread::yield_now();
        }
        assert!(matches!(engine.ingest(Algorithm::Sha256, None), Err(EngineError::NoSpace)));
        assert!(matches!(engine.resume_upload(&repository(), &id).await, Err(EngineError::NoSpace)));
        let refused = engine.start_upload(&repository(), Algorithm::Sha256).await;
        assert!(matches!(refused, Err(EngineError::NoSpace)));
        engine.cancel_upload(&repository(), &id).await.unwrap();
        let mut batch = crate::meta::Batch::new(engine.now());
        batch.unlink_blob(&repository(), &small);
        engine.commit(batch).await.unwrap();
        assert!(pull(&engine, &small).await.unwrap().is_some());
        world.disk.set_capacity(None);
        push(&engine, &content(2, 100), 100).await.unwrap();
    });
}

#[test]
fn a_failed_commit_poisons_and_the_bytes_stay_for_recovery() {
    for size in [100, 100_000] {
        let mut world = World::new();
        let engine = world.open().unwrap();
        block_on(async {
            let before = push(&engine, &content(1, 1000), 1000).await.unwrap();
            engine.parts().pending.wait_for_none();
            world
                .meta
                .memory
                .fail_write(0, EngineError::io("log", std::io::Error::from_raw_os_error(libc::EIO)));
            let outcome = push(&engine, &content(2, size), 1000).await;
            assert!(matches!(outcome, Err(EngineError::Poisoned { .. })), "{outcome:?}");
            assert!(matches!(engine.health(), Health::Poisoned { .. }));
            assert!(pull(&engine, &before).await.unwrap().is_some());
            engine.parts().pending.wait_for_none();
            let files = if size > 65_536 { 2 } else { 1 };
            assert_eq!(world.disk.files().len(), files, "it may have happened: only recovery may remove");
            world.kill(engine);
            let engine = world.open().unwrap();
            audit(&world, &engine, &[before]).await;
        });
    }
}

#[test]
fn a_commit_whose_answer_is_lost_may_have_happened() {
    for session in [false, true] {
        let mut world = World::new();
        let engine = world.open().unwrap();
        let bytes = content(1, 300_000);
        let digest = digest(&bytes);
        block_on(async {
            let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            write(&mut writer, &bytes.slice(..100_000), 60_000).await.unwrap();
            writer.suspend().await.unwrap();
            let (mut writer, from) = if session {
                (engine.resume_upload(&repository(), &id).await.unwrap(), 100_000)
            } else {
                (engine.ingest(Algorithm::Sha256, None).unwrap(), 0)
            };
            write(&mut writer, &bytes.slice(from..), 60_000).await.unwrap();
            world.meta.lose_answers.store(true, Ordering::SeqCst);
            let outcome = writer.finish(&digest, link(&engine, &digest)).await;
            assert!(matches!(outcome, Err(EngineError::Poisoned { .. })), "{outcome:?}");
        });
        // Nothing that follows the failure may have touched the bytes.
        world.power_cut(Some(engine), Cut::Keep, 9);
        let engine = world.open().unwrap();
        block_on(audit(&world, &engine, &[digest]));
    }
}

#[test]
fn a_checkpoint_never_claims_bytes_that_were_not_written() {
    let megabytes = CHECKPOINT_BYTES as usize / BUFFER_BYTES;
    let chunk = content(1, BUFFER_BYTES);
    let whole = Bytes::from(chunk.repeat(megabytes + 8));
    let faults = [
        (Operation::Write, Fault::Eio, megabytes - 6),
        (Operation::Write, Fault::Eio, megabytes - 1),
        (Operation::Sync, Fault::Enospc, 0),
    ];
    // Writes are put together as they come: one of those that follow so many megabytes fails, the stretch's last or one before.
    let cases = faults.into_iter().flat_map(|fault| [(fault, false), (fault, true)]);
    for ((operation, fault, megabytes_before), begins) in cases {
        let mut world = World::with_begins(begins);
        let engine = world.open().unwrap();
        block_on(async {
            engine.parts().pending.wait_for_none();
            let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            let (before, after) = whole.split_at(megabytes_before * BUFFER_BYTES);
            write(&mut writer, &whole.slice_ref(before), BUFFER_BYTES).await.unwrap();
            world.faults.order(operation, fault, 0, 1);
            let outcome = write(&mut writer, &whole.slice_ref(after), BUFFER_BYTES).await;
            let error = match outcome {
                Ok(()) => writer.suspend().await.unwrap_err(),
                Err(error) => {
                    drop(writer);
                    error
                }
            };
            assert!(matches!(error, EngineError::Io { .. } | EngineError::NoSpace), "{error}");
            assert_eq!(world.faults.heal(), 1);
            let offset = engine.upload_status(&repository(), &id).await.unwrap().offset;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            write(&mut writer, &whole.slice(offset as usize..), BUFFER_BYTES).await.unwrap();
            let digest = digest(&whole);
            writer.finish(&digest, link(&engine, &digest)).await.unwrap();
            audit(&world, &engine, &[digest]).await;
            world.kill(engine);
        });
    }
}
