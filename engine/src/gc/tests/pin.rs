//! Blobs that are pinned: they stay, whatever else lets go of them, and go when they are unpinned and their grace is over.

use super::world::{Garden, Unlimited, name};
use crate::engine::tests::world::{block_on as run, link};
use crate::gc::GcConfig;
use crate::gc::judge::{Judge, Verdict};
use crate::gc::report::GcKind;
use crate::gc::run::run as collect;
use crate::meta::{Batch, EdgeRole, GcItem, PinRecord};
use crate::{EngineError, Linked, UnixMillis};
use std::time::Duration;
use strata_types::Digest;

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

fn eager() -> GcConfig {
    GcConfig { grace: Duration::ZERO, undo: Duration::ZERO, ..GcConfig::default() }
}

fn record(at: UnixMillis) -> PinRecord {
    PinRecord { created_at: at, updated_at: at, labels: [].into() }
}

fn pin(garden: &Garden, blob: &Digest) -> Batch {
    let mut batch = link(&garden.engine, blob);
    batch.pin_blob(&name(), blob, &record(batch.at()));
    batch
}

fn pinned(garden: &Garden, seed: u64, len: usize) -> Digest {
    let blob = garden.blob(seed, len);
    run(garden.engine.commit(pin(garden, &blob))).unwrap();
    blob
}

fn unpin(garden: &Garden, blob: &Digest) -> bool {
    let mut there = false;
    garden.commit(|batch, view| there = batch.unpin_blob(view, &name(), blob).unwrap()).unwrap();
    there
}

#[test]
fn a_pinned_blob_stays_until_its_grace_after_the_end_of_the_pin_is_over() {
    let garden = Garden::new(GcConfig::default());
    let (small, large) = (pinned(&garden, 1, 3000), pinned(&garden, 2, 200_000));
    let queue = || garden.view().gc_queue(None, 9).unwrap();
    assert_eq!(queue(), [], "what is pinned is no candidate");
    assert_eq!(garden.engine.find_link(&name(), &small).unwrap(), Some(Linked::Held));
    garden.later(HOUR * 24 * 30);
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.audit(&[small, large]);
    assert!(unpin(&garden, &large) && !unpin(&garden, &large));
    assert_eq!(queue().len(), 1);
    garden.later(Duration::from_secs(3599));
    assert_eq!(garden.collect_as_planned().removed.objects(), 0);
    garden.later(SECOND);
    assert_eq!(garden.collect_as_planned().removed.of(GcKind::Blob).objects, 1);
    assert!(garden.has(&small) && !garden.has(&large));
    garden.audit(&[small]);
}

#[test]
fn a_pin_and_a_manifest_keep_each_for_itself() {
    for pin_first in [true, false] {
        let garden = Garden::new(eager());
        let blob = pinned(&garden, 1, 70_000);
        let image = garden.manifest("image", &[(EdgeRole::Layer, blob)], None, &["v1"]);
        garden.later(SECOND);
        let mut ends: [&dyn Fn(); 2] =
            [&|| assert!(unpin(&garden, &blob)), &|| garden.delete_manifest(&image)];
        if !pin_first {
            ends.reverse();
        }
        ends[0]();
        garden.later(SECOND);
        garden.collect_as_planned();
        garden.audit(&[blob]);
        ends[1]();
        garden.later(SECOND);
        garden.collect_as_planned();
        assert!(!garden.has(&blob));
        garden.audit(&[]);
    }
}

#[test]
fn a_pin_made_again_is_a_new_one_and_no_pin_is_made_twice() {
    let garden = Garden::new(eager());
    let blob = pinned(&garden, 1, 70_000);
    let twice = run(garden.engine.commit(pin(&garden, &blob)));
    assert!(matches!(twice, Err(EngineError::Conflict)), "{twice:?}");
    // Unpinned and pinned again within one moment: the entry of the first end takes nothing away.
    assert!(unpin(&garden, &blob));
    run(garden.engine.commit(pin(&garden, &blob))).unwrap();
    garden.later(SECOND);
    garden.collect_as_planned();
    garden.audit(&[blob]);
    // A blob that is taken out of the repository takes its pin along.
    garden.commit(|batch, _| batch.unlink_blob(&name(), &blob)).unwrap();
    assert_eq!(garden.view().pin(&name(), &blob).unwrap(), None);
    garden.collect_as_planned();
    garden.audit(&[]);
}

#[test]
fn a_repository_takes_its_pins_along() {
    let garden = Garden::new(eager());
    pinned(&garden, 1, 70_000);
    let until = garden.engine.now();
    garden
        .commit(|batch, view| assert!(batch.delete_repository(view, &name(), until).unwrap().is_some()))
        .unwrap();
    assert_eq!(garden.view().pins(&name(), None, 9).unwrap(), []);
    garden.later(SECOND);
    garden.collect_as_planned();
    garden.audit(&[]);
}

/// What a sweep decided on the present state about links, whether it removes or settles.
fn verdicts(garden: &Garden) -> Vec<Batch> {
    let store = garden.engine.parts();
    let judge =
        Judge { config: &store.config.gc, seen: &store.seen, claims: false, now: garden.engine.now() };
    let view = garden.view();
    let queue = view.gc_queue(None, 9).unwrap();
    let links = queue.iter().filter(|(_, item)| matches!(item, GcItem::Link { .. }));
    let judged = links.map(|(at, item)| judge.judge(&view, *at, item).unwrap());
    judged
        .filter_map(|verdict| match verdict {
            Verdict::Remove(batch, ..) | Verdict::Settle(batch) => Some(batch),
            Verdict::Postpone => None,
        })
        .collect()
}

#[test]
fn a_pin_and_a_sweep_of_the_same_blob_exclude_each_other() {
    for sweep_first in [true, false] {
        let garden = Garden::new(eager());
        let blob = garden.blob(1, 70_000);
        garden.later(SECOND);
        let (mut sweep, pin) = (verdicts(&garden), pin(&garden, &blob));
        let (sweep, first) = (sweep.pop().unwrap(), sweep_first);
        let batches = if first { [sweep, pin] } else { [pin, sweep] };
        let outcomes = batches.map(|batch| run(garden.engine.commit(batch)));
        if sweep_first {
            // The link goes, and the pin comes with one of its own: the blob is still there.
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        } else {
            assert!(matches!(outcomes, [Ok(_), Err(EngineError::Conflict)]), "{outcomes:?}");
        }
        garden.later(SECOND);
        garden.collect();
        garden.audit(&[blob]);
        assert!(garden.view().pin(&name(), &blob).unwrap().is_some());
    }
}

#[test]
fn the_end_of_a_pin_is_not_swept_under_by_a_verdict_from_before() {
    for settle_first in [true, false] {
        let garden = Garden::new(eager());
        let blob = garden.blob(1, 70_000);
        garden.later(SECOND);
        run(garden.engine.commit(pin(&garden, &blob))).unwrap();
        let settle = verdicts(&garden);
        assert_eq!(settle.len(), 1, "the entry of the push");
        if settle_first {
            for batch in settle.clone() {
                run(garden.engine.commit(batch)).unwrap();
            }
        }
        assert!(unpin(&garden, &blob));
        if !settle_first {
            for batch in settle {
                assert!(matches!(run(garden.engine.commit(batch)), Err(EngineError::Conflict)));
            }
        }
        garden.later(SECOND);
        collect(garden.engine.parts(), &mut Unlimited).unwrap();
        assert!(!garden.has(&blob), "somebody still leads to it");
        garden.audit(&[]);
    }
}
