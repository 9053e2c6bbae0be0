//! Random sequences of operations, some on stale views, with restarts in between: the store shows what the oracle does.

use super::oracle::{Operation, Oracle, operation};
use super::{errors, view};
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::error::EngineError;
use crate::meta::{Batch, MemoryStore, MetaStore, RocksConfig, RocksStore, View, commit, prepare};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Step {
    /// An operation, decided on the view that was current so many steps ago.
    Operation(Operation, usize),
    Restart,
}

fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    let age = prop_oneof![3 => Just(0_usize), 1 => 1..4_usize];
    let step = prop_oneof![
        20 => (operation(), age).prop_map(|(operation, age)| Step::Operation(operation, age)),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..longest)
}

/// Runs the steps; `restart` gives the store as it is found after a stop.
fn run(
    steps: &[Step],
    mut store: Arc<dyn MetaStore>,
    mut restart: impl FnMut(Arc<dyn MetaStore>) -> Arc<dyn MetaStore>,
) {
    prepare(&*store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    let mut oracle = Oracle::default();
    let mut views: Vec<View> = vec![view(&*store)];
    for step in steps {
        match step {
            Step::Restart => {
                views.clear();
                store = restart(store);
            }
            Step::Operation(operation, age) => {
                let seen = views.len().saturating_sub(1 + age);
                let operation = operation.resolved(&views[seen]);
                one(&*store, &mut oracle, &operation, &views[seen], *age > 0);
            }
        }
        let now = view(&*store);
        assert_eq!(errors(&now), Vec::<String>::new());
        oracle.assert_usage_shown_by(&now);
        views.push(now);
    }
    for limit in [1, 2, 100] {
        oracle.assert_shown_by(&view(&*store), limit);
    }
}

fn one(store: &dyn MetaStore, oracle: &mut Oracle, operation: &Operation, seen: &View, stale: bool) {
    let mut after = oracle.clone();
    let expected = after.apply(operation);
    let mut batch = Batch::new(UnixMillis(7));
    let filled = operation.fill(&mut batch, seen).unwrap();
    match commit(store, batch) {
        Ok(_) if filled => {
            assert_eq!(expected, Some(true), "{operation:?} was accepted");
            *oracle = after;
        }
        // By a stale view there may have been nothing to do, though now there is.
        Ok(_) => assert!(stale || expected == Some(false), "{operation:?} did nothing"),
        Err(EngineError::Conflict) => assert!(stale || expected.is_none(), "{operation:?} was refused"),
        Err(error) => panic!("{operation:?}: {error}"),
    }
}

fn open(directory: &Path) -> Arc<dyn MetaStore> {
    let config = RocksConfig { cache_bytes: 1 << 20, memtable_bytes: 2 << 20 };
    Arc::new(RocksStore::open(directory, &config).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn in_memory_with_power_cuts(steps in steps(40)) {
        let memory = Arc::new(MemoryStore::new().unwrap());
        let mut current = memory.clone();
        run(&steps, memory, |_| {
            // Every batch was synced: a power cut undoes nothing.
            current = Arc::new(current.power_cut(0).unwrap());
            current.clone()
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn on_disk_with_restarts(steps in steps(40)) {
        let directory = tempfile::tempdir().unwrap();
        run(&steps, open(directory.path()), |store| {
            store.close();
            drop(store);
            open(directory.path())
        });
    }
}
