//! Many at once: the same blob, different blobs, clients that leave at any moment.

use super::world::{World, audit, block_on, content, digest, link, pull, push, repository, write};
use crate::limits::BUFFER_BYTES;
use crate::sync::lock;
use crate::{Engine, EngineError};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use strata_types::{Algorithm, Digest};

const TASKS: u64 = 32;

fn many_threads<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap().block_on(future)
}

/// Runs a task for each number and returns what they return.
async fn each<T: Send + 'static>(task: impl Fn(u64) -> tokio::task::JoinHandle<T>) -> Vec<T> {
    let tasks: Vec<_> = (0..TASKS).map(task).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[test]
fn the_same_blob_from_many_is_stored_once() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        for size in [0, 3000, 80_000, 2 * BUFFER_BYTES] {
            let bytes = content(size as u64, size);
            let before = engine.metrics();
            let outcomes = each(|number| {
                let (engine, bytes) = (engine.clone(), bytes.clone());
                tokio::spawn(
                    async move { push(&engine, &bytes, 1000 + number as usize * 777).await.unwrap() },
                )
            })
            .await;
            assert!(outcomes.iter().all(|digest| *digest == outcomes[0]));
            let after = engine.metrics();
            assert_eq!(after.blobs_stored - before.blobs_stored, 1);
            assert_eq!(after.blobs_deduplicated - before.blobs_deduplicated, TASKS - 1);
            audit(&world, &engine, &outcomes).await;
        }
    });
}

#[test]
fn different_blobs_from_many_share_their_syncs() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        let mut all: Vec<Digest> = Vec::new();
        for size in [500_usize, 90_000, BUFFER_BYTES + 4097] {
            let outcomes = each(|number| {
                let engine = engine.clone();
                let bytes = content(number * 1000 + size as u64, size + number as usize);
                tokio::spawn(async move { push(&engine, &bytes, 30_000).await.unwrap() })
            })
            .await;
            all.extend(outcomes);
        }
        audit(&world, &engine, &all).await;
        let metrics = engine.metrics();
        assert_eq!((metrics.segment_frames, metrics.blobs_stored), (TASKS, 3 * TASKS));
        assert!(metrics.segment_appends <= TASKS);
    });
}

#[test]
fn uploads_against_a_limit_reach_it_exactly_and_leave_nothing_behind() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        let mut all: Vec<Digest> = Vec::new();
        for (size, fits) in [(3000_u64, 7_usize), (80_000, 11)] {
            let used = engine.view().unwrap().usage("library").unwrap().unique_bytes;
            let limit = used + fits as u64 * size + size / 2;
            let outcomes = each(|number| {
                let engine = engine.clone();
                let bytes = content(number * 1000 + size, size as usize);
                tokio::spawn(async move {
                    let digest = digest(&bytes);
                    let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
                    write(&mut writer, &bytes, 30_000).await.unwrap();
                    let mut batch = link(&engine, &digest);
                    batch.limit_usage("library", limit);
                    writer.finish(&digest, batch).await.map(|_| digest)
                })
            })
            .await;
            let refused = outcomes.iter().filter(|outcome| match outcome {
                Ok(_) => false,
                Err(EngineError::UsageExceeded { used: before, .. }) => {
                    assert!(*before <= limit);
                    true
                }
                Err(error) => panic!("{error}"),
            });
            assert_eq!(refused.count(), TASKS as usize - fits);
            all.extend(outcomes.into_iter().flatten());
            let usage = engine.view().unwrap().usage("library").unwrap();
            assert_eq!(
                (usage.unique_bytes, usage.logical_bytes),
                (used + fits as u64 * size, usage.unique_bytes)
            );
            audit(&world, &engine, &all).await;
        }
        // What the refused small ones left in segments is known to be dead.
        let dead = engine.view().unwrap().tombstones(None, 99).unwrap();
        assert_eq!(dead.len(), TASKS as usize - 7, "{dead:?}");
    });
}

#[test]
fn a_session_that_a_limit_refuses_is_gone() {
    let world = World::new();
    let engine = world.open().unwrap();
    block_on(async {
        for size in [3000, 80_000] {
            let bytes = content(size as u64, size);
            let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
            let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
            write(&mut writer, &bytes, 30_000).await.unwrap();
            writer.suspend().await.unwrap();
            let writer = engine.resume_upload(&repository(), &id).await.unwrap();
            let digest = digest(&bytes);
            let mut batch = link(&engine, &digest);
            batch.limit_usage("library", 2999);
            let refused = writer.finish(&digest, batch).await;
            assert!(matches!(refused, Err(EngineError::UsageExceeded { .. })), "{refused:?}");
            let status = engine.upload_status(&repository(), &id).await;
            assert!(matches!(status, Err(EngineError::UploadUnknown)), "{status:?}");
            audit(&world, &engine, &[]).await;
        }
    });
}

#[test]
fn more_uploads_than_buffers_all_come_to_their_end() {
    let mut world = World::with_begins(true);
    world.config.buffer_memory_bytes = 0;
    let engine = world.open().unwrap();
    many_threads(async {
        let outcomes = each(|number| {
            let engine = engine.clone();
            let bytes = content(number, 3 * BUFFER_BYTES + number as usize);
            tokio::spawn(async move {
                let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
                for piece in bytes.chunks(200_000) {
                    writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
                    // A client that pauses now and then, as its front end notices.
                    if number % 3 == 0 {
                        writer.park().await.unwrap();
                        tokio::task::yield_now().await;
                    }
                }
                let digest = digest(&bytes);
                writer.finish(&digest, link(&engine, &digest)).await.unwrap();
                digest
            })
        })
        .await;
        audit(&world, &engine, &outcomes).await;
    });
}

#[test]
fn clients_that_leave_at_any_await_leak_nothing() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        for polls in 0..60_u32 {
            let sizes = [2000, 70_000, 2 * BUFFER_BYTES];
            let bytes = content(u64::from(polls), sizes[polls as usize % 3]);
            abandon(push(&engine, &bytes, 60_000), polls / 3).await;
            abandon(in_session(&engine, &bytes), polls / 2).await;
        }
        engine.parts().pending.wait_for_none();
        // What went on after its client left is committed or gone; nothing hangs in between.
        while engine.metrics().writers > 0 || engine.metrics().buffers_used > 0 {
            tokio::task::yield_now().await;
        }
        // The files of uploads that were given up are removed after their last write.
        engine.parts().pending.wait_for_none();
        audit(&world, &engine, &[]).await;
    });
}

#[test]
fn a_session_that_is_opened_for_nobody_any_more_is_waited_for() {
    let world = World::new();
    let engine = world.open().unwrap();
    many_threads(async {
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &content(1, 2 * BUFFER_BYTES), 60_000).await.unwrap();
        writer.suspend().await.unwrap();
        // All threads are busy until it is let go.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        for _ in 0..engine.parts().config.io_thread_count() {
            let held = Arc::clone(&held);
            engine.parts().writers.run(move || assert!(lock(&held).recv().is_err()));
        }
        abandon(engine.resume_upload(&repository(), &id), 1).await;
        assert_eq!(engine.parts().sessions.count(), 1, "the job has it that opens its file");
        drop(release);
        engine.parts().pending.wait_for_none();
        assert_eq!(engine.parts().sessions.count(), 0);
        audit(&world, &engine, &[]).await;
    });
}

/// Polls a future so many times, then drops it.
async fn abandon<T>(future: impl Future<Output = T>, polls: u32) {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return std::task::Poll::Ready(());
        }
        left -= 1;
        // Asks again at once, also where nothing happened.
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

async fn in_session(engine: &Engine, bytes: &Bytes) -> Result<(), EngineError> {
    let id = engine.start_upload(&repository(), Algorithm::Sha256).await?.id;
    let mut writer = engine.resume_upload(&repository(), &id).await?;
    write(&mut writer, bytes, 60_000).await?;
    writer.suspend().await?;
    let writer = engine.resume_upload(&repository(), &id).await?;
    let digest = digest(bytes);
    writer.finish(&digest, link(engine, &digest)).await.map(|_| ())
}

#[test]
fn a_session_and_its_rivals() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        let bytes = content(1, 200_000);
        let digest = digest(&bytes);
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let outcomes = each(|_| {
            let (engine, bytes) = (engine.clone(), bytes.clone());
            tokio::spawn(async move {
                let mut writer = engine.resume_upload(&repository(), &id).await?;
                assert_eq!(writer.offset(), 0, "a session that was finished is unknown, not begun anew");
                writer.write(bytes).await?;
                writer.finish(&digest, link(&engine, &digest)).await
            })
        })
        .await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 1);
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(error, EngineError::UploadBusy { .. } | EngineError::UploadUnknown), "{error}");
        }
        assert_eq!(pull(&engine, &digest).await.unwrap().unwrap(), bytes);
        audit(&world, &engine, &[digest]).await;
    });
}

#[test]
fn a_resume_that_nobody_waits_for_lets_nobody_else_in_before_its_end() {
    let world = World::with_begins(true);
    let engine = world.open().unwrap();
    many_threads(async {
        let bytes = content(1, 200_000);
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        writer.write(bytes.clone()).await.unwrap();
        writer.suspend().await.unwrap();
        engine.parts().pending.wait_for_none();
        // All threads that could open the file are kept busy.
        let (release, gate) = crossbeam_channel::bounded::<()>(0);
        for _ in 0..world.config.io_threads {
            let gate = gate.clone();
            engine.parts().writers.run(move || assert!(gate.recv().is_err(), "released by dropping"));
        }
        abandon(engine.resume_upload(&repository(), &id), 1).await;
        let rival = engine.resume_upload(&repository(), &id).await;
        assert!(matches!(rival, Err(EngineError::UploadBusy { .. })), "{rival:?}");
        drop(release);
        while engine.parts().sessions.count() > 0 {
            tokio::task::yield_now().await;
        }
        let writer = engine.resume_upload(&repository(), &id).await.unwrap();
        let digest = digest(&bytes);
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        audit(&world, &engine, &[digest]).await;
    });
}
