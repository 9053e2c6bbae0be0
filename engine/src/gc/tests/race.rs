//! Somebody else at the same moment.

use super::world::{Garden, Unlimited, name, put};
use crate::engine::tests::world::{block_on as run, content, digest, link, pull, write};
use crate::gc::GcConfig;
use crate::gc::judge::{Judge, Verdict};
use crate::gc::run::run as collect;
use crate::meta::{Batch, EdgeRole, GcItem, Queued};
use crate::{EngineError, Linked};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use strata_types::{Algorithm, Digest, RepositoryName};

const SECOND: Duration = Duration::from_secs(1);

fn eager() -> GcConfig {
    GcConfig {
        grace: Duration::ZERO,
        undo: Duration::ZERO,
        untagged: Some(Duration::ZERO),
        ..GcConfig::default()
    }
}

/// The batches that would remove what is queued, decided on the present state.
fn verdicts(garden: &Garden) -> Vec<Batch> {
    let store = garden.engine.parts();
    let judge =
        Judge { config: &store.config.gc, seen: &store.seen, claims: false, now: garden.engine.now() };
    let view = garden.view();
    let queued: Vec<Queued> = view.gc_queue(None, 99).unwrap();
    let judged = queued.iter().map(|(at, item)| judge.judge(&view, *at, item).unwrap());
    judged
        .filter_map(|verdict| if let Verdict::Remove(batch, ..) = verdict { Some(batch) } else { None })
        .collect()
}

fn commit(garden: &Garden, batch: Batch) -> Result<(), EngineError> {
    run(garden.engine.commit(batch)).map(drop)
}

/// Sweeps with verdicts that were made before `other`, and the other way round; both ends must be right.
fn both_ways(
    prepare: impl Fn(&Garden) -> Digest,
    other: impl Fn(&Garden, &Digest) -> Batch,
    kept: impl Fn(&Garden, &Digest) -> bool,
) {
    for sweep_first in [false, true] {
        let garden = Garden::new(eager());
        let blob = prepare(&garden);
        garden.later(SECOND);
        let (batch, sweep) = (other(&garden, &blob), verdicts(&garden));
        assert!(!sweep.is_empty());
        if sweep_first {
            for batch in sweep {
                commit(&garden, batch).unwrap();
            }
            assert!(matches!(commit(&garden, batch), Err(EngineError::Conflict)));
        } else {
            commit(&garden, batch).unwrap();
            for batch in sweep {
                assert!(matches!(commit(&garden, batch), Err(EngineError::Conflict)));
            }
            assert!(kept(&garden, &blob), "it was removed all the same");
        }
        garden.later(SECOND);
        garden.collect();
        garden.audit(&[]);
    }
}

#[test]
fn a_manifest_and_the_sweep_of_its_layer() {
    let push = |garden: &Garden, blob: &Digest| {
        let mut batch = Batch::new(garden.engine.now());
        let mut put = put(&garden.view(), "image", &[(EdgeRole::Layer, *blob)], None, &["v1"]);
        put.required_blobs = vec![*blob];
        batch.put_manifest(&garden.view(), &put).unwrap();
        batch
    };
    both_ways(|garden| garden.blob(1, 70_000), push, Garden::has);
}

#[test]
fn a_mount_and_the_sweep_of_the_blob_and_of_its_source() {
    let target = RepositoryName::parse("mounted/here").unwrap();
    let mount = |garden: &Garden, blob: &Digest| {
        let mut batch = Batch::new(garden.engine.now());
        batch.mount_blob(&target, blob, None);
        batch
    };
    // The blob is linked nowhere and queued.
    let unlinked = |garden: &Garden| {
        let blob = garden.blob(1, 70_000);
        garden.commit(|batch, _| batch.unlink_blob(&name(), &blob)).unwrap();
        blob
    };
    both_ways(unlinked, mount, |garden, blob| {
        garden.view().link(&target, blob).unwrap().is_some() && garden.has(blob)
    });
    // The source goes first: then there is nothing to mount from.
    let garden = Garden::new(eager());
    let blob = garden.blob(1, 70_000);
    garden.later(SECOND);
    let sweep = verdicts(&garden);
    let mut batch = Batch::new(garden.engine.now());
    batch.mount_blob(&target, &blob, Some(&name()));
    for batch in sweep {
        commit(&garden, batch).unwrap();
    }
    assert!(matches!(commit(&garden, batch), Err(EngineError::Conflict)));
}

#[test]
fn a_push_of_what_is_there_and_the_sweep_of_the_blob() {
    let unlinked = |garden: &Garden| {
        let blob = garden.blob(1, 3000);
        garden.commit(|batch, _| batch.unlink_blob(&name(), &blob)).unwrap();
        blob
    };
    both_ways(unlinked, |garden, blob| link(&garden.engine, blob), Garden::has);
}

#[test]
fn a_tag_and_the_sweep_of_the_manifest() {
    let tag = |garden: &Garden, image: &Digest| {
        let mut batch = Batch::new(garden.engine.now());
        batch.set_tag(&garden.view(), &name(), &"v2".parse_tag(), image).unwrap();
        batch
    };
    both_ways(
        |garden| garden.manifest("image", &[], None, &[]),
        tag,
        |garden, image| garden.view().has_manifest(&name(), image).unwrap(),
    );
}

trait ParseTag {
    fn parse_tag(&self) -> strata_types::Tag;
}

impl ParseTag for str {
    fn parse_tag(&self) -> strata_types::Tag {
        strata_types::Tag::parse(self).unwrap()
    }
}

#[test]
fn an_upload_that_found_the_blob_stores_it_anew_when_it_is_gone() {
    for (len, session) in [(3000, false), (3000, true), (200_000, false), (200_000, true)] {
        let garden = Garden::new(eager());
        let bytes = content(9, len);
        let blob = garden.push(&bytes);
        garden.later(SECOND);
        // The upload's commit is judged behind the sweep's, whose batches wait in the same queue before it.
        let engine = &garden.engine;
        run(async {
            let mut writer = if session {
                let upload = engine.start_upload(&name(), Algorithm::Sha256).await.unwrap();
                engine.resume_upload(&name(), &upload.id).await.unwrap()
            } else {
                engine.ingest(Algorithm::Sha256, None).unwrap()
            };
            write(&mut writer, &bytes, 40_000).await.unwrap();
            let finish = writer.finish(&blob, link(engine, &blob));
            for batch in verdicts(&garden) {
                engine.commit(batch).await.unwrap();
            }
            finish.await.unwrap();
        });
        // Its link was made after its blob was there, whoever came first.
        assert_eq!(run(pull(engine, &blob)).unwrap(), Some(bytes), "{len} {session}");
        collect(engine.parts(), &mut Unlimited).unwrap();
    }
}

#[test]
fn a_question_and_a_claim_exclude_each_other() {
    let garden = Garden::new(GcConfig::default());
    let blob = garden.blob(1, 3000);
    garden.later(Duration::from_hours(2));
    let store = garden.engine.parts();
    let now = garden.engine.now();
    let judge = Judge { config: &store.config.gc, seen: &store.seen, claims: true, now };
    let item = GcItem::Link { repository: name(), digest: blob };
    let (at, _) = garden.view().gc_queue(None, 1).unwrap().remove(0);
    let Verdict::Remove(batch, removal, _) = judge.judge(&garden.view(), at, &item).unwrap() else {
        panic!("it is garbage")
    };
    assert_eq!(garden.engine.find_link(&name(), &blob).unwrap(), None, "it is being removed");
    commit(&garden, batch).unwrap();
    judge.release(&removal);
    assert_eq!(garden.engine.find_link(&name(), &blob).unwrap(), None, "it was removed");
    let blob = garden.blob(2, 3000);
    garden.later(Duration::from_hours(2));
    assert_eq!(garden.engine.find_link(&name(), &blob).unwrap(), Some(Linked::Loose));
    let (at, item) = garden.view().gc_queue(None, 1).unwrap().remove(0);
    let judge = Judge { config: &store.config.gc, seen: &store.seen, claims: true, now: garden.engine.now() };
    assert!(matches!(judge.judge(&garden.view(), at, &item).unwrap(), Verdict::Settle(_)));
}

/// Pushes, reads and mounts of few digests by many, with runs without grace all the time: what is acknowledged is whole, whatever
/// happened to it before.
#[test]
fn many_at_once_with_a_sweeper_that_waits_for_nothing() {
    const ROUNDS: u64 = 60;
    let garden = Garden::new(eager());
    let engine = garden.engine.clone();
    let done = Arc::new(AtomicBool::new(false));
    let sweeper = {
        let (engine, done, clock) = (engine.clone(), Arc::clone(&done), Arc::clone(&garden.world.clock));
        std::thread::spawn(move || {
            while !done.load(Ordering::Acquire) {
                clock.advance(Duration::from_millis(1));
                collect(engine.parts(), &mut Unlimited).unwrap();
            }
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..6_u64)
            .map(|task| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    for round in 0..ROUNDS {
                        let seed = (task + round) % 3;
                        let bytes = content(seed, [500, 90_000, 20_000][seed as usize]);
                        let blob = digest(&bytes);
                        let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
                        write(&mut writer, &bytes, 50_000).await.unwrap();
                        writer.finish(&blob, link(&engine, &blob)).await.unwrap();
                        // It may be gone again by now; never damaged.
                        if let Some(read) = pull(&engine, &blob).await.unwrap() {
                            assert_eq!(read, bytes);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    done.store(true, Ordering::Release);
    sweeper.join().unwrap();
    assert_eq!(engine.metrics().corruptions, 0);
    garden.later(SECOND);
    garden.collect();
    garden.audit(&[]);
    assert_eq!(garden.view().blobs(None, 9).unwrap(), []);
}
