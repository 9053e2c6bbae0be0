//! What registries use: kept by every verb, limited in the very batch, counted for older stores, mended where it is wrong.

use super::verbs::{at, digest, file, manifest, name, push_blob};
use super::{apply, errors, memory, view};
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::error::EngineError;
use crate::meta::record::{FormatRecord, Record};
use crate::meta::{
    Batch, Held, MemoryStore, MetaStore, Restore, RocksConfig, RocksStore, StoredBlob, Usage, commit,
    identity, key, prepare,
};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use strata_types::RepositoryName;

/// The size of every blob here.
const BLOB: u64 = 100_000;

fn usage(store: &dyn MetaStore, registry: &str) -> Usage {
    assert_eq!(errors(&view(store)), Vec::<String>::new());
    view(store).usage(registry).unwrap()
}

/// Repositories, manifests, tags, logical and unique bytes.
fn figures([repositories, manifests, tags, logical_bytes, unique_bytes]: [u64; 5]) -> Usage {
    Usage { repositories, manifests, tags, logical_bytes, unique_bytes }
}

fn mount(store: &dyn MetaStore, to: &str, text: &str) {
    at(store, 8, |batch, _| batch.mount_blob(&name(to), &digest(text), None)).unwrap();
}

#[test]
fn a_registry_counts_what_its_repositories_share_once() {
    let store = memory();
    assert_eq!(usage(&*store, "hy"), Usage::default());
    push_blob(&*store, "hy/a", "x", 1);
    assert_eq!(usage(&*store, "hy"), figures([1, 0, 0, BLOB, BLOB]));
    // Again, elsewhere in the registry, and in another one.
    mount(&*store, "hy/a", "x");
    assert_eq!(usage(&*store, "hy"), figures([1, 0, 0, BLOB, BLOB]));
    mount(&*store, "hy/b", "x");
    assert_eq!(usage(&*store, "hy"), figures([2, 0, 0, 2 * BLOB, BLOB]));
    let holds = |registry, held| view(&*store).registry_holds(registry, held, &digest("x")).unwrap();
    assert_eq!(
        [holds("hy", Held::Blob), holds("hy", Held::Manifest), holds("other", Held::Blob)],
        [true, false, false]
    );
    mount(&*store, "other/b", "x");
    assert_eq!(usage(&*store, "hy"), figures([2, 0, 0, 2 * BLOB, BLOB]));
    assert_eq!(usage(&*store, "other"), figures([1, 0, 0, BLOB, BLOB]));
    for repository in ["hy/a", "hy/b"] {
        at(&*store, 9, |batch, view| {
            batch.put_manifest(view, &manifest(repository, "four", &["x"], &["v1", "v2"])).unwrap();
        })
        .unwrap();
    }
    assert_eq!(usage(&*store, "hy"), figures([2, 2, 4, 2 * BLOB + 8, BLOB + 4]));
    at(&*store, 10, |batch, view| {
        assert!(batch.delete_manifest(view, &name("hy/a"), &digest("four")).unwrap());
    })
    .unwrap();
    assert_eq!(usage(&*store, "hy"), figures([2, 1, 2, 2 * BLOB + 4, BLOB + 4]));
    at(&*store, 11, |batch, _| batch.unlink_blob(&name("hy/a"), &digest("x"))).unwrap();
    assert_eq!(usage(&*store, "hy"), figures([2, 1, 2, BLOB + 4, BLOB + 4]));
    at(&*store, 12, |batch, view| {
        batch.delete_repository(view, &name("hy/b"), UnixMillis(50)).unwrap().unwrap();
    })
    .unwrap();
    assert_eq!(usage(&*store, "hy"), figures([1, 0, 0, 0, 0]));
    at(&*store, 12, |batch, view| {
        batch.delete_repository(view, &name("hy/a"), UnixMillis(50)).unwrap().unwrap();
    })
    .unwrap();
    assert_eq!(usage(&*store, "hy"), Usage::default());
    assert_eq!(view(&*store).raw(&key::usage("hy")).unwrap(), None, "and nothing is left of it");
    assert_eq!(usage(&*store, "other"), figures([1, 0, 0, BLOB, BLOB]));
}

#[test]
fn names_of_one_segment_share_a_registry() {
    let store = memory();
    push_blob(&*store, "busybox", "x", 1);
    mount(&*store, "default/alpine", "x");
    mount(&*store, "busybox/sub", "x");
    assert_eq!(usage(&*store, "default"), figures([2, 0, 0, 2 * BLOB, BLOB]));
    assert_eq!(usage(&*store, "busybox"), figures([1, 0, 0, BLOB, BLOB]));
    at(&*store, 9, |batch, _| batch.unlink_blob(&name("busybox"), &digest("x"))).unwrap();
    assert_eq!(usage(&*store, "default"), figures([2, 0, 0, BLOB, BLOB]));
}

#[test]
fn a_restore_and_a_blob_that_is_given_up_are_counted() {
    let store = memory();
    push_blob(&*store, "hy/a", "x", 1);
    at(&*store, 9, |batch, view| {
        batch.put_manifest(view, &manifest("hy/a", "four", &["x"], &["v1"])).unwrap();
    })
    .unwrap();
    let whole = usage(&*store, "hy");
    at(&*store, 10, |batch, view| {
        batch.delete_repository(view, &name("hy/a"), UnixMillis(50)).unwrap().unwrap();
    })
    .unwrap();
    assert_eq!(usage(&*store, "hy"), Usage::default());
    let (number, _) = view(&*store).trash_page(None, 9).unwrap().pop().unwrap();
    at(&*store, 11, |batch, view| {
        let restored = batch.restore(view, number, UnixMillis(0), false).unwrap();
        assert!(matches!(restored, Restore::Done(_)));
    })
    .unwrap();
    assert_eq!(usage(&*store, "hy"), whole);
    mount(&*store, "hy/b", "x");
    let record = file(1);
    at(&*store, 12, |batch, _| batch.quarantine_blob(&digest("x"), &record, crate::meta::Damage::Missing))
        .unwrap();
    let stored: StoredBlob = view(&*store).stored_blob(&digest("x")).unwrap().unwrap();
    at(&*store, 13, |batch, view| batch.discard_blob(view, &digest("x"), &stored).unwrap()).unwrap();
    assert_eq!(usage(&*store, "hy"), figures([2, 1, 1, 4, 4]));
}

#[test]
fn a_limit_refuses_what_raises_the_usage_above_it() {
    let store = memory();
    let push = |repository: &str, text: &str, generation: u64, limit: u64| {
        apply(&*store, |batch, _| {
            batch.put_blob(&digest(text), &file(generation));
            batch.link_blob(&name(repository), &digest(text));
            batch.limit_usage("hy", limit);
            Ok(())
        })
    };
    push("hy/a", "x", 1, BLOB).unwrap();
    let refused = push("hy/a", "y", 2, 2 * BLOB - 1);
    let Err(EngineError::UsageExceeded { registry, limit, used, wanted }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((registry.as_str(), limit, used, wanted), ("hy", 2 * BLOB - 1, BLOB, BLOB));
    assert_eq!(view(&*store).blob(&digest("y")).unwrap(), None, "nothing of the batch is there");
    push("hy/a", "y", 2, 2 * BLOB).unwrap();
    // Another registry's usage is no matter, nor is what raises nothing, however low the limit is by now.
    push("other/a", "z", 3, 0).unwrap();
    apply(&*store, |batch, _| {
        batch.mount_blob(&name("hy/b"), &digest("x"), None);
        batch.limit_usage("hy", 1);
        Ok(())
    })
    .unwrap();
    let mounted = apply(&*store, |batch, _| {
        batch.mount_blob(&name("hy/b"), &digest("z"), None);
        batch.limit_usage("hy", 2 * BLOB);
        Ok(())
    });
    assert!(matches!(mounted, Err(EngineError::UsageExceeded { .. })), "{mounted:?}");
    // A lost race is told first: the retry knows better.
    let stale = apply(&*store, |batch, _| {
        batch.put_blob(&digest("x"), &file(9));
        batch.link_blob(&name("hy/a"), &digest("x"));
        batch.limit_usage("hy", 0);
        Ok(())
    });
    assert!(matches!(stale, Err(EngineError::Conflict)), "{stale:?}");
    assert_eq!(usage(&*store, "hy"), figures([2, 0, 0, 3 * BLOB, 2 * BLOB]));
}

/// 32 threads push against a limit, by blobs of their own and by ones that they share: it is reached, and never exceeded.
fn many_push(store: &dyn MetaStore) {
    const THREADS: u64 = 32;
    const EACH: u64 = 8;
    const LIMIT: u64 = 100 * BLOB + BLOB / 2;
    prepare(store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (taken, refused) = (&taken, &refused);
            scope.spawn(move || {
                for number in 0..EACH {
                    let own = thread * EACH + number;
                    let text = format!("blob {own}");
                    let repository = name(&format!("hy/{}", own % 5));
                    let mut batch = Batch::new(UnixMillis(7));
                    batch.put_blob(&digest(&text), &file(own + 1));
                    batch.link_blob(&repository, &digest(&text));
                    batch.limit_usage("hy", LIMIT);
                    match commit(store, batch) {
                        Ok(_) => taken.fetch_add(1, Ordering::Relaxed),
                        Err(EngineError::UsageExceeded { limit: LIMIT, .. }) => {
                            refused.fetch_add(1, Ordering::Relaxed)
                        }
                        Err(error) => panic!("{error}"),
                    };
                    assert!(view(store).usage("hy").unwrap().unique_bytes <= LIMIT);
                }
            });
        }
    });
    assert_eq!((taken.into_inner(), refused.into_inner()), (100, THREADS * EACH - 100));
    assert_eq!(usage(store, "hy"), figures([5, 0, 0, 100 * BLOB, 100 * BLOB]));
}

#[test]
fn many_at_once_reach_a_limit_exactly_in_memory() {
    many_push(&*memory());
}

#[test]
fn many_at_once_reach_a_limit_exactly_on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = RocksConfig { cache_bytes: 1 << 20, memtable_bytes: 2 << 20 };
    many_push(&RocksStore::open(directory.path(), &config).unwrap());
}

/// A store with a few thousand rows of two registries.
fn filled() -> std::sync::Arc<MemoryStore> {
    let store = memory();
    apply(&*store, |batch, _| {
        for number in 0..3000_u64 {
            let text = format!("blob {number}");
            batch.put_blob(&digest(&text), &file(number));
            let to: &[&str] = if number.is_multiple_of(3) { &["hy/a", "hy/b", "busybox"] } else { &["hy/a"] };
            for repository in to {
                batch.link_blob(&name(repository), &digest(&text));
            }
        }
        Ok(())
    })
    .unwrap();
    for repository in ["hy/a", "hy/b", "busybox"] {
        at(&*store, 9, |batch, view| {
            batch.put_manifest(view, &manifest(repository, "four", &["blob 3"], &["v1"])).unwrap();
        })
        .unwrap();
    }
    store
}

/// Makes it what a program of format 2 left, whose rows `w` and `W`, if any, are those of an upgrade that was not finished.
fn of_format_2(store: &MemoryStore, stale: &[(Bytes, Bytes)]) {
    for first in [key::table::USAGE, key::table::HOLDERS] {
        for (row, _) in view(store).raw_page(&[first], None, usize::MAX).unwrap() {
            store.corrupt(row, None);
        }
    }
    for (row, value) in stale {
        store.corrupt(row.clone(), Some(value.clone()));
    }
    store.corrupt(key::meta("format"), Some(FormatRecord { version: 2 }.encode()));
}

#[test]
fn a_store_of_format_2_is_counted_when_it_is_opened() {
    let store = filled();
    let kept = [usage(&*store, "hy"), usage(&*store, "default")];
    let rows = view(&*store).raw_page(b"", None, usize::MAX).unwrap();
    let stale = [(
        key::holders("gone", Held::Blob, &digest("x")),
        crate::meta::record::HoldersRecord { repositories: 3, bytes: 9 }.encode(),
    )];
    of_format_2(&store, &stale);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new(), "it needs no such rows yet");
    let opened = prepare(&*store, &SeededEntropy::new(2), UnixMillis(2)).unwrap();
    assert_eq!(identity(&view(&*store)).unwrap(), Some(opened));
    assert_eq!([usage(&*store, "hy"), usage(&*store, "default")], kept);
    assert_eq!(
        view(&*store).raw_page(b"", None, usize::MAX).unwrap(),
        rows,
        "as if it had been kept all along"
    );
}

#[test]
fn a_count_that_is_interrupted_is_made_again() {
    let mut store = filled();
    let kept = usage(&*store, "hy");
    let mut failures = 0;
    of_format_2(&store, &[]);
    for writes in 0..100 {
        store.fail_write(writes, EngineError::NoSpace);
        let outcome = prepare(&*store, &SeededEntropy::new(2), UnixMillis(2));
        // Killed, or robbed of its power with a part of what was not synced.
        let found = if writes.is_multiple_of(2) { store.kill() } else { store.power_cut(1) };
        store = std::sync::Arc::new(found.unwrap());
        let version = identity(&view(&*store)).unwrap().unwrap().format_version;
        if outcome.is_ok() {
            assert_eq!(version, crate::meta::FORMAT_VERSION);
            break;
        }
        assert_eq!(version, 2, "it stays what it was until the count is whole");
        failures += 1;
    }
    assert!(failures >= 3, "{failures} writes failed");
    assert_eq!(usage(&*store, "hy"), kept);
}

#[test]
fn wrong_figures_are_told_and_counted_anew() {
    let store = filled();
    let right = view(&*store).raw_page(b"", None, usize::MAX).unwrap();
    let repository: RepositoryName = name("hy/a");
    let stray = crate::meta::record::HoldersRecord { repositories: 1, bytes: 9 }.encode();
    let held = |registry: &str, text: &str| key::holders(registry, Held::Blob, &digest(text));
    let wrong: [(Bytes, Option<Bytes>); 6] = [
        (key::usage("hy"), None),
        (key::usage("nowhere"), Some(figures([0, 0, 0, 1, 1]).encode())),
        (key::usage("hy"), Some(figures([2, 2, 2, 0, 0]).encode())),
        (held("hy", "blob 1"), None),
        (held(repository.registry(), "blob 3"), Some(stray.clone())),
        (held("default", "nothing"), Some(stray)),
    ];
    for (row, value) in wrong {
        store.corrupt(row, value);
        let found = errors(&view(&*store));
        assert!(found.iter().any(|finding| finding.contains("a count shows")), "{found:?}");
        crate::meta::recount(&*store, UnixMillis(9)).unwrap();
        assert_eq!(errors(&view(&*store)), Vec::<String>::new());
        assert_eq!(view(&*store).raw_page(b"", None, usize::MAX).unwrap(), right);
    }
}
