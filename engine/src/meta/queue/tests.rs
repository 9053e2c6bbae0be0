//! The queue: groups, failures, panics; nobody is left without an answer.

use super::*;
use crate::clock::UnixMillis;
use crate::meta::format::commit;
use crate::meta::{Batch, MemoryStore, MetaStore};
use std::sync::mpsc;

fn put(key: &'static str) -> Batch {
    let mut batch = Batch::new(UnixMillis(1));
    batch.put(Bytes::from_static(key.as_bytes()), Bytes::new());
    batch
}

fn answer_to(sender: &mpsc::Sender<Result<Committed, EngineError>>) -> CommitDone {
    let sender = sender.clone();
    Box::new(move |outcome| sender.send(outcome).unwrap())
}

#[test]
fn the_memory_store_keeps_the_contract() {
    crate::meta::contract::run(&|| Ok(Arc::new(MemoryStore::new()?))).unwrap();
}

#[test]
fn batches_that_wait_share_one_write() {
    let store = MemoryStore::new().unwrap();
    let (sender, answers) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    // The first answer holds the thread until all others are in the queue.
    store.submit(put("first"), Box::new(move |_| wait.recv().unwrap()));
    for _ in 0..100 {
        store.submit(put("x"), answer_to(&sender));
    }
    go.send(()).unwrap();
    drop(sender);
    assert!(answers.iter().all(|answer| answer.is_ok()));
    assert!(store.writes() <= 2, "{} writes", store.writes());
}

#[test]
fn a_prefix_is_judged_with_what_its_group_hides() {
    use crate::meta::Expectation;
    let store = MemoryStore::new().unwrap();
    for key in ["p1", "p2", "p3"] {
        commit(&store, put(key)).unwrap();
    }
    let (sender, answers) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    store.submit(put("first"), Box::new(move |_| wait.recv().unwrap()));
    let prefix = Bytes::from_static(b"p");
    let mut delete = Batch::new(UnixMillis(1));
    delete.delete(Bytes::from_static(b"p1"));
    delete.delete(Bytes::from_static(b"p2"));
    let mut is_empty = Batch::new(UnixMillis(1));
    is_empty.expect(Expectation::PrefixEmpty(prefix.clone()));
    let mut has_the_last = Batch::new(UnixMillis(1));
    has_the_last.expect(Expectation::PrefixKeys(prefix, vec![Bytes::from_static(b"p3")]));
    for batch in [delete, is_empty, has_the_last] {
        store.submit(batch, answer_to(&sender));
    }
    go.send(()).unwrap();
    drop(sender);
    let answers: Vec<_> = answers.iter().collect();
    assert!(matches!(answers[..], [Ok(_), Err(EngineError::Conflict), Ok(_)]), "{answers:?}");
}

#[test]
fn a_group_is_synced_if_any_of_it_is() {
    let store = MemoryStore::new().unwrap();
    let unsynced = |key| {
        let mut batch = put(key);
        batch.set_unsynced();
        commit(&store, batch).unwrap();
    };
    unsynced("a");
    unsynced("b");
    assert_eq!(store.unsynced_writes(), 2);
    commit(&store, put("c")).unwrap();
    assert_eq!(store.unsynced_writes(), 0);
    unsynced("d");
    // A synced batch without a step is a barrier.
    commit(&store, Batch::new(UnixMillis(1))).unwrap();
    assert_eq!(store.unsynced_writes(), 0);
    unsynced("e");
    unsynced("f");
    let has = |store: &MemoryStore, key: &str| store.view().unwrap().get(key.as_bytes()).unwrap().is_some();
    let found = store.power_cut(1).unwrap();
    assert_eq!(["a", "d", "e", "f"].map(|key| has(&found, key)), [true, true, true, false]);
    assert!(matches!(commit(&store, put("g")), Err(EngineError::Poisoned { .. })));
    assert!(has(&store.kill().unwrap(), "f"));
}

#[test]
fn a_failed_write_poisons() {
    let store = MemoryStore::new().unwrap();
    commit(&store, put("before")).unwrap();
    store.fail_write(0, EngineError::NoSpace);
    let Err(EngineError::Poisoned { why }) = commit(&store, put("x")) else {
        panic!("the failure was not told")
    };
    assert!(why.contains("no space"), "{why}");
    assert!(matches!(commit(&store, put("y")), Err(EngineError::Poisoned { .. })));
    assert_eq!(store.poisoned(), Some(why));
    // Reads go on, and show nothing of what failed.
    let view = store.view().unwrap();
    assert!(view.get(b"before").unwrap().is_some());
    assert_eq!(view.get(b"x").unwrap(), None);
}

#[test]
fn a_panicking_continuation_harms_nobody_else() {
    let store = MemoryStore::new().unwrap();
    store.submit(put("a"), Box::new(|_| panic!("on purpose")));
    commit(&store, put("b")).unwrap();
    assert_eq!(store.poisoned(), None);
}

/// Panics at its first write.
#[derive(Debug)]
struct Panicking;

impl MetaView for Panicking {
    fn get(&self, _: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(None)
    }

    fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        Ok(Vec::new())
    }

    fn last(&self, _: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        Ok(None)
    }
}

impl Backend for Panicking {
    fn write(&self, _: &Changes, _: bool) -> Result<(), EngineError> {
        panic!("on purpose")
    }
}

#[test]
fn a_panic_of_the_thread_answers_all() {
    let queue = CommitQueue::start(Arc::new(Panicking)).unwrap();
    let (sender, answers) = mpsc::channel();
    for _ in 0..50 {
        queue.submit(put("x"), answer_to(&sender));
    }
    drop(sender);
    let answers: Vec<_> = answers.iter().collect();
    assert_eq!(answers.len(), 50);
    assert!(answers.iter().all(|answer| matches!(answer, Err(EngineError::Poisoned { .. }))), "{answers:?}");
    assert!(queue.poisoned().is_some());
    queue.close();
}

#[test]
fn the_last_owner_may_go_on_the_queues_own_thread() {
    let store = Arc::new(MemoryStore::new().unwrap());
    let (sender, answered) = mpsc::channel();
    let owner = store.clone();
    let done: CommitDone = Box::new(move |outcome| {
        drop(owner);
        sender.send(outcome).unwrap();
    });
    store.submit(put("x"), done);
    drop(store);
    answered.recv().unwrap().unwrap();
}

#[test]
fn a_store_goes_on_with_the_next_event() {
    let store = MemoryStore::new().unwrap();
    let name = strata_types::RepositoryName::parse("a").unwrap();
    let mut batch = Batch::new(UnixMillis(1));
    batch.create_repository(&name);
    assert_eq!(commit(&store, batch).unwrap().first_event, Some(1));
    let store = store.kill().unwrap();
    let mut batch = Batch::new(UnixMillis(1));
    batch.create_repository(&strata_types::RepositoryName::parse("b").unwrap());
    assert_eq!(commit(&store, batch).unwrap().first_event, Some(2));
}
