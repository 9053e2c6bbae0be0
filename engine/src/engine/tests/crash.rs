//! The power is cut at every step of every scenario, and whatever survives is opened again: acknowledged blobs are there, nothing
//! is half there, no file is left that no row names, and recovery cut short is repeated.

use super::world::{World, audit, block_on, content, digest, link, push, repository, write};
use crate::disk::sim::Cut;
use crate::limits::BUFFER_BYTES;
use crate::{Engine, EngineError};
use std::sync::Mutex;
use strata_types::{Algorithm, Digest};

/// What a scenario was promised: blobs that were acknowledged before the power went.
type Promised = Mutex<Vec<Digest>>;

fn promise(promised: &Promised, outcome: Result<Digest, EngineError>) -> Result<(), EngineError> {
    promised.lock().unwrap().push(outcome?);
    Ok(())
}

async fn small_blobs(engine: &Engine, promised: &Promised) -> Result<(), EngineError> {
    for (seed, size) in [(1, 0), (2, 10), (3, 5000), (2, 10)] {
        promise(promised, push(engine, &content(seed, size), 3000).await)?;
    }
    Ok(())
}

async fn many_small_blobs(engine: &Engine, promised: &Promised) -> Result<(), EngineError> {
    let contents: Vec<_> = (0..6).map(|seed| content(seed, 700)).collect();
    let pushes = contents.iter().map(|bytes| push(engine, bytes, 1000));
    for outcome in futures_join(pushes).await {
        promise(promised, outcome)?;
    }
    Ok(())
}

async fn large_blobs(engine: &Engine, promised: &Promised) -> Result<(), EngineError> {
    for (seed, size) in [(1, 70_000), (2, BUFFER_BYTES + 5000), (1, 70_000), (3, 4 * BUFFER_BYTES)] {
        promise(promised, push(engine, &content(seed, size), 60_000).await)?;
    }
    Ok(())
}

async fn chunked_session(engine: &Engine, promised: &Promised) -> Result<(), EngineError> {
    let bytes = content(4, 2 * BUFFER_BYTES + 77);
    let id = engine.start_upload(&repository(), Algorithm::Sha256).await?.id;
    let mut offset = 0;
    for size in [1000, 100_000, 3, BUFFER_BYTES, bytes.len()] {
        let end = bytes.len().min(offset + size);
        let mut writer = engine.resume_upload(&repository(), &id).await?;
        write(&mut writer, &bytes.slice(offset..end), 60_000).await?;
        writer.suspend().await?;
        offset = end;
    }
    let writer = engine.resume_upload(&repository(), &id).await?;
    let digest = digest(&bytes);
    promise(promised, writer.finish(&digest, link(engine, &digest)).await.map(|_| digest))
}

async fn uploads_given_up(engine: &Engine, promised: &Promised) -> Result<(), EngineError> {
    let bytes = content(5, 200_000);
    // A client that leaves in the middle of an upload without a session.
    let mut writer = engine.ingest(Algorithm::Sha256, None)?;
    writer.write(bytes.clone()).await?;
    drop(writer);
    // A session that is cancelled, one whose bytes are wrong, one for a blob that is there already.
    promise(promised, push(engine, &bytes, 60_000).await)?;
    for end in 0..3 {
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await?.id;
        let mut writer = engine.resume_upload(&repository(), &id).await?;
        writer.write(bytes.clone()).await?;
        writer.suspend().await?;
        if end == 0 {
            engine.cancel_upload(&repository(), &id).await?;
            continue;
        }
        let writer = engine.resume_upload(&repository(), &id).await?;
        let said = if end == 1 { digest(b"other") } else { digest(&bytes) };
        match writer.finish(&said, link(engine, &said)).await {
            Err(EngineError::DigestMismatch { .. }) => {}
            outcome => promise(promised, outcome.map(|_| said))?,
        }
    }
    engine.parts().pending.wait_for_none();
    Ok(())
}

/// Runs futures side by side on this task.
async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut futures {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if futures.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    futures.into_iter().filter_map(|(_, done)| done).collect()
}

/// Sessions with files, begun in an earlier life of the store, all of whose generations are settled by now.
async fn old_sessions(engine: &Engine) {
    for _ in 0..5 {
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        writer.write(content(5, 100_000)).await.unwrap();
        writer.suspend().await.unwrap();
    }
}

/// Every end that a session of an earlier life can come to.
async fn ends_of_old_sessions(
    world: &World,
    engine: &Engine,
    promised: &Promised,
) -> Result<(), EngineError> {
    let page = engine.view()?.uploads(None, 9)?;
    let [cancelled, wrong, stored, known, _expired] = page.as_slice() else { return Ok(()) };
    engine.cancel_upload(&repository(), &cancelled.0).await?;
    let writer = engine.resume_upload(&repository(), &wrong.0).await?;
    let said = digest(b"other");
    match writer.finish(&said, link(engine, &said)).await {
        Err(EngineError::DigestMismatch { .. }) => {}
        outcome => promise(promised, outcome.map(|_| said))?,
    }
    let said = digest(&content(5, 100_000));
    for id in [stored.0, known.0] {
        let writer = engine.resume_upload(&repository(), &id).await?;
        promise(promised, writer.finish(&said, link(engine, &said)).await.map(|_| said))?;
    }
    world.clock.advance(world.config.upload_expiry);
    assert_eq!(engine.expire_uploads().await?, 1);
    engine.parts().pending.wait_for_none();
    Ok(())
}

/// Cuts the power at step after step until the scenario comes to its end, each time with another kind of loss, and once more
/// in the middle of the recovery.
fn at_every_step(scenario: &impl AsyncFn(&Engine, &Promised) -> Result<(), EngineError>) {
    for begins in [false, true] {
        let scenario =
            &async |_: &World, engine: &Engine, promised: &Promised| scenario(engine, promised).await;
        at_every_step_after(begins, &async |_: &Engine| {}, scenario);
    }
}

/// As [`at_every_step`], in a store that `before` wrote to in an earlier life, on a disk that takes requests or does not.
fn at_every_step_after(
    begins: bool,
    before: &impl AsyncFn(&Engine),
    scenario: &impl AsyncFn(&World, &Engine, &Promised) -> Result<(), EngineError>,
) {
    let mut step = 0;
    loop {
        step += 1;
        let mut world = World::with_begins(begins);
        let promised = Promised::default();
        let engine = world.open().unwrap();
        block_on(before(&engine));
        engine.close();
        world.kill(engine);
        world.disk.cut_at(step);
        let engine = world.open();
        let outcome = match &engine {
            Ok(engine) => block_on(scenario(&world, engine, &promised)),
            Err(error) => Err(error.clone()),
        };
        let finished = outcome.is_ok();
        assert!(finished || world.disk.is_off(), "step {step}, begins {begins}: {outcome:?}");
        let cut = match step % 3 {
            0 => Cut::Lose,
            1 => Cut::Keep,
            _ => Cut::Tear(step),
        };
        world.power_cut(engine.ok(), cut, (step % 5) as usize);
        // The first recovery is cut off too, at a step that differs from case to case.
        world.disk.cut_at(1 + step % 4);
        let interrupted = world.open();
        world.power_cut(interrupted.ok(), Cut::Tear(step + 1), 9);
        let engine = world.open().unwrap();
        let promised = promised.into_inner().unwrap();
        block_on(async {
            audit(&world, &engine, &promised).await;
            // Whatever happened, the store takes the same again.
            let after = Promised::default();
            scenario(&world, &engine, &after).await.unwrap();
            audit(&world, &engine, &after.into_inner().unwrap()).await;
        });
        if finished {
            assert!(step > 10, "the scenario takes steps");
            return;
        }
    }
}

#[test]
fn small_blobs_survive_any_cut() {
    at_every_step(&small_blobs);
}

#[test]
fn grouped_small_blobs_survive_any_cut() {
    at_every_step(&many_small_blobs);
}

#[test]
fn large_blobs_survive_any_cut() {
    at_every_step(&large_blobs);
}

#[test]
fn a_session_survives_any_cut() {
    at_every_step(&chunked_session);
}

#[test]
fn content_under_names_survives_any_cut() {
    at_every_step(&super::ingest::content_comes_in);
}

#[test]
fn what_was_given_up_leaves_nothing_after_any_cut() {
    at_every_step(&uploads_given_up);
}

#[test]
fn sessions_of_an_earlier_life_end_well_at_any_cut() {
    at_every_step_after(false, &old_sessions, &ends_of_old_sessions);
}
