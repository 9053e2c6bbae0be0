//! Many threads at once: the outcome is that of some order, and the event log tells which.

use super::oracle::{Operation, Oracle, operation};
use super::{errors, memory, view};
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::error::EngineError;
use crate::meta::{Batch, MetaStore, RocksConfig, RocksStore, commit, prepare};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::sync::Mutex;

const THREADS: usize = 4;
const EACH: usize = 150;

/// Does what is asked, again and again while others are faster. Returns what was done in the end, and the number of its first
/// event, where it has one.
fn insist(store: &dyn MetaStore, operation: &Operation) -> Option<(u64, Operation)> {
    // An operation that cannot be done is refused on a fresh view each time: it is given up after as many tries as others
    // could at most have won in between.
    for _ in 0..THREADS * EACH {
        let before = view(store);
        let operation = operation.resolved(&before);
        let mut batch = Batch::new(UnixMillis(7));
        if !operation.fill(&mut batch, &before).unwrap() {
            return None;
        }
        match commit(store, batch) {
            Ok(committed) => return committed.first_event.map(|number| (number, operation)),
            Err(EngineError::Conflict)
                if view(store).last_event().unwrap() == before.last_event().unwrap() =>
            {
                // Nobody else did anything: it cannot be done.
                return None;
            }
            Err(EngineError::Conflict) => {}
            Err(error) => panic!("{operation:?}: {error}"),
        }
    }
    None
}

fn hammer(store: &dyn MetaStore) {
    prepare(store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u8 {
            let done = &done;
            scope.spawn(move || {
                let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[thread; 32]);
                let mut runner = TestRunner::new_with_rng(Config::default(), rng);
                let strategy = proptest::collection::vec(operation(), EACH);
                for operation in strategy.new_tree(&mut runner).unwrap().current() {
                    if let Some(told) = insist(store, &operation) {
                        done.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(number, _)| *number);
    let mut oracle = Oracle::default();
    for (number, operation) in &done {
        assert_eq!(oracle.told.len() as u64 + 1, *number, "{operation:?}");
        assert_eq!(oracle.apply(operation), Some(true), "{operation:?} at {number}");
    }
    let after = view(store);
    oracle.assert_shown_by(&after, 7);
    assert_eq!(errors(&after), Vec::<String>::new());
    assert!(done.len() > THREADS * EACH / 4, "only {} operations were done", done.len());
}

#[test]
fn in_memory() {
    hammer(&*memory());
}

#[test]
fn on_disk() {
    let directory = tempfile::tempdir().unwrap();
    let config = RocksConfig { cache_bytes: 1 << 20, memtable_bytes: 2 << 20 };
    hammer(&RocksStore::open(directory.path(), &config).unwrap());
}
