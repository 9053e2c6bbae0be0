//! What every [`MetaStore`] must do, as code. A store is done when its test is one call of [`run`].

use super::batch::{Batch, Expectation};
use super::format::commit;
use super::key;
use super::record::{Event, EventKind, Record};
use super::store::{Committed, MetaStore};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use bytes::Bytes;
use std::sync::{Arc, mpsc};

/// Makes an empty store.
pub type MakeStore<'a> = &'a dyn Fn() -> Result<Arc<dyn MetaStore>, EngineError>;

/// A clause: what it is called, and its proof.
type Clause = (&'static str, fn(&dyn MetaStore) -> Result<(), String>);

const CLAUSES: [Clause; 11] = [
    ("an empty store", empty),
    ("lookups and scans", scans),
    ("steps override each other in order", step_order),
    ("expectations", expectations),
    ("prefix expectations see the batches before them", prefixes),
    ("a refused batch leaves nothing", refused),
    ("put if absent, and its event", put_if_absent),
    ("views do not move", views),
    ("events are numbered without gaps", events),
    ("compare-and-swap by many threads loses nothing", compare_and_swap),
    ("close", close),
];

/// Runs all clauses, each on a store of its own.
///
/// # Errors
/// The first clause that does not hold, and why.
pub fn run(make: MakeStore<'_>) -> Result<(), String> {
    for (name, clause) in CLAUSES {
        let store = make().map_err(|error| format!("{name}: {error}"))?;
        clause(&*store).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

macro_rules! ensure_eq {
    ($left:expr, $right:expr) => {
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err(format!("line {}: {left:?} is not {right:?}", line!()));
        }
    };
}

fn text(error: &EngineError) -> String {
    error.to_string()
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new(UnixMillis(1));
    fill(&mut batch);
    batch
}

fn apply(store: &dyn MetaStore, fill: impl FnOnce(&mut Batch)) -> Result<Committed, String> {
    commit(store, batch(fill)).map_err(|error| text(&error))
}

/// Whether the batch conflicts; another error is a breach.
fn conflicts(store: &dyn MetaStore, fill: impl FnOnce(&mut Batch)) -> Result<bool, String> {
    match commit(store, batch(fill)) {
        Ok(_) => Ok(false),
        Err(EngineError::Conflict) => Ok(true),
        Err(error) => Err(text(&error)),
    }
}

fn get(store: &dyn MetaStore, key: &str) -> Result<Option<Bytes>, String> {
    store.view().and_then(|view| view.get(key.as_bytes())).map_err(|error| text(&error))
}

fn keys(
    store: &dyn MetaStore,
    prefix: &[u8],
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Bytes>, String> {
    let rows = store.view().and_then(|view| view.scan(prefix, after, limit)).map_err(|error| text(&error))?;
    Ok(rows.into_iter().map(|(key, _)| key).collect())
}

fn an_event() -> Event {
    Event {
        at: UnixMillis(1),
        kind: EventKind::TagSet,
        repository: None,
        digest: None,
        tag: None,
        detail: Bytes::new(),
    }
}

fn empty(store: &dyn MetaStore) -> Result<(), String> {
    ensure_eq!(get(store, "a")?, None);
    ensure_eq!(keys(store, b"", None, 9)?, Vec::<Bytes>::new());
    let last = store.view().and_then(|view| view.last(b"")).map_err(|error| text(&error))?;
    ensure_eq!(last, None);
    ensure_eq!(apply(store, |_| ())?, Committed::default());
    ensure_eq!(store.poisoned(), None);
    Ok(())
}

fn scans(store: &dyn MetaStore) -> Result<(), String> {
    apply(store, |batch| {
        for key in ["a", "b", "b\0", "b\0x", "ba", "bb", "c"] {
            batch.put(bytes(key), Bytes::from(format!("value of {key}")));
        }
        batch.put(Bytes::from_static(b"\xff\xff"), bytes("last"));
        batch.put(bytes("nothing"), Bytes::new());
    })?;
    ensure_eq!(get(store, "ba")?, Some(bytes("value of ba")));
    ensure_eq!(get(store, "nothing")?, Some(Bytes::new()));
    ensure_eq!(get(store, "bc")?, None);
    ensure_eq!(keys(store, b"b", None, 9)?, ["b", "b\0", "b\0x", "ba", "bb"].map(bytes).to_vec());
    ensure_eq!(keys(store, b"b", None, 2)?, ["b", "b\0"].map(bytes).to_vec());
    ensure_eq!(keys(store, b"b", Some(b"b\0"), 2)?, ["b\0x", "ba"].map(bytes).to_vec());
    ensure_eq!(keys(store, b"b", Some(b"b\0a"), 2)?, ["b\0x", "ba"].map(bytes).to_vec());
    ensure_eq!(keys(store, b"b", Some(b"a"), 1)?, ["b"].map(bytes).to_vec());
    ensure_eq!(keys(store, b"b", Some(b"bb"), 9)?, Vec::<Bytes>::new());
    ensure_eq!(keys(store, b"b", Some(b"x"), 9)?, Vec::<Bytes>::new());
    ensure_eq!(keys(store, b"b", None, 0)?, Vec::<Bytes>::new());
    ensure_eq!(keys(store, b"\xff", None, 9)?, vec![Bytes::from_static(b"\xff\xff")]);
    ensure_eq!(keys(store, b"", None, 99)?.len(), 9);
    let view = store.view().map_err(|error| text(&error))?;
    let last = |prefix: &[u8]| {
        let row = view.last(prefix).map_err(|error| text(&error))?;
        Ok::<_, String>(row.map(|(key, _)| key))
    };
    ensure_eq!(last(b"b")?, Some(bytes("bb")));
    ensure_eq!(last(b"b\0")?, Some(bytes("b\0x")));
    ensure_eq!(last(b"d")?, None);
    ensure_eq!(last(b"\xff")?, Some(Bytes::from_static(b"\xff\xff")));
    ensure_eq!(last(b"")?, Some(Bytes::from_static(b"\xff\xff")));
    Ok(())
}

fn step_order(store: &dyn MetaStore) -> Result<(), String> {
    apply(store, |batch| {
        batch.put(bytes("a"), bytes("1"));
        batch.delete(bytes("a"));
        batch.delete(bytes("b"));
        batch.put(bytes("b"), bytes("2"));
        batch.put(bytes("c"), bytes("3"));
        batch.put(bytes("c"), bytes("4"));
        batch.put_if_absent(bytes("c"), bytes("5"), None);
        batch.put(bytes("d"), bytes("6"));
        batch.delete(bytes("d"));
        batch.put_if_absent(bytes("d"), bytes("7"), None);
    })?;
    ensure_eq!(keys(store, b"", None, 9)?, ["b", "c", "d"].map(bytes).to_vec());
    ensure_eq!(get(store, "c")?, Some(bytes("4")));
    ensure_eq!(get(store, "d")?, Some(bytes("7")));
    Ok(())
}

fn expectations(store: &dyn MetaStore) -> Result<(), String> {
    apply(store, |batch| batch.put(bytes("a"), bytes("1")))?;
    let refused = |expectation: Expectation| conflicts(store, |batch| batch.expect(expectation));
    ensure_eq!(refused(Expectation::Equals(bytes("a"), bytes("1")))?, false);
    ensure_eq!(refused(Expectation::Equals(bytes("a"), bytes("2")))?, true);
    ensure_eq!(refused(Expectation::Equals(bytes("b"), bytes("1")))?, true);
    ensure_eq!(refused(Expectation::Present(bytes("a")))?, false);
    ensure_eq!(refused(Expectation::Present(bytes("b")))?, true);
    ensure_eq!(refused(Expectation::Absent(bytes("a")))?, true);
    ensure_eq!(refused(Expectation::Absent(bytes("b")))?, false);
    // What the batch itself puts counts for presence, and for nothing else.
    let own = conflicts(store, |batch| {
        batch.put(bytes("b"), bytes("1"));
        batch.expect(Expectation::Present(bytes("b")));
        batch.expect(Expectation::Absent(bytes("b")));
    })?;
    ensure_eq!(own, false);
    let taken_back = conflicts(store, |batch| {
        batch.put(bytes("c"), bytes("1"));
        batch.delete(bytes("c"));
        batch.expect(Expectation::Present(bytes("c")));
    })?;
    ensure_eq!(taken_back, true);
    Ok(())
}

fn prefixes(store: &dyn MetaStore) -> Result<(), String> {
    let is_empty =
        |prefix| !conflicts(store, |batch| batch.expect(Expectation::PrefixEmpty(prefix))).unwrap_or(true);
    let has = |keys: &[&'static str]| {
        let keys = keys.iter().map(|key| bytes(key)).collect();
        !conflicts(store, |batch| batch.expect(Expectation::PrefixKeys(bytes("p"), keys))).unwrap_or(true)
    };
    ensure_eq!((is_empty(bytes("p")), has(&[])), (true, true));
    apply(store, |batch| {
        batch.put(bytes("o"), bytes("1"));
        batch.put(bytes("p1"), bytes("1"));
        batch.put(bytes("p2"), bytes("1"));
        batch.put(bytes("q"), bytes("1"));
    })?;
    ensure_eq!((is_empty(bytes("p")), is_empty(bytes("p3"))), (false, true));
    ensure_eq!(
        (has(&["p1", "p2"]), has(&["p1"]), has(&["p1", "p2", "p3"]), has(&[])),
        (true, false, false, false)
    );
    // Many batches at once, so that they meet in groups: each expects what the one before left.
    let (answer, answers) = mpsc::channel();
    let steps: [fn(&mut Batch); 6] = [
        |batch| batch.delete(bytes("p1")),
        |batch| batch.expect(Expectation::PrefixKeys(bytes("p"), vec![bytes("p2")])),
        |batch| batch.delete(bytes("p2")),
        |batch| batch.expect(Expectation::PrefixEmpty(bytes("p"))),
        |batch| batch.put(bytes("p9"), bytes("1")),
        |batch| batch.expect(Expectation::PrefixKeys(bytes("p"), vec![bytes("p9")])),
    ];
    for step in steps {
        let answer = answer.clone();
        store.submit(batch(step), Box::new(move |outcome| answer.send(outcome.is_ok()).unwrap_or_default()));
    }
    drop(answer);
    ensure_eq!(answers.iter().collect::<Vec<_>>(), vec![true; 6]);
    ensure_eq!(keys(store, b"p", None, 9)?, vec![bytes("p9")]);
    Ok(())
}

fn refused(store: &dyn MetaStore) -> Result<(), String> {
    apply(store, |batch| batch.put(bytes("a"), bytes("1")))?;
    let refused = conflicts(store, |batch| {
        batch.put(bytes("b"), bytes("1"));
        batch.delete(bytes("a"));
        batch.append(&an_event(), Some((bytes("h"), bytes("1"))));
        batch.expect(Expectation::Absent(bytes("a")));
    })?;
    ensure_eq!(refused, true);
    ensure_eq!(keys(store, b"", None, 9)?, vec![bytes("a")]);
    // The number that the refused event would have had is the next one's.
    let committed = apply(store, |batch| batch.append(&an_event(), None))?;
    ensure_eq!(committed, Committed { first_event: Some(1), events: 1 });
    Ok(())
}

fn put_if_absent(store: &dyn MetaStore) -> Result<(), String> {
    let put = |value| apply(store, |batch| batch.put_if_absent(bytes("a"), bytes(value), Some(&an_event())));
    ensure_eq!(put("1")?, Committed { first_event: Some(1), events: 1 });
    ensure_eq!(put("2")?, Committed { first_event: None, events: 0 });
    ensure_eq!(get(store, "a")?, Some(bytes("1")));
    Ok(())
}

fn views(store: &dyn MetaStore) -> Result<(), String> {
    apply(store, |batch| batch.put(bytes("a"), bytes("1")))?;
    let before = store.view().map_err(|error| text(&error))?;
    apply(store, |batch| {
        batch.put(bytes("a"), bytes("2"));
        batch.put(bytes("b"), bytes("2"));
    })?;
    let old = |key: &[u8]| before.get(key).map_err(|error| text(&error));
    ensure_eq!(old(b"a")?, Some(bytes("1")));
    ensure_eq!(old(b"b")?, None);
    ensure_eq!(before.scan(b"", None, 9).map_err(|error| text(&error))?, vec![(bytes("a"), bytes("1"))]);
    ensure_eq!(before.last(b"").map_err(|error| text(&error))?, Some((bytes("a"), bytes("1"))));
    ensure_eq!(get(store, "a")?, Some(bytes("2")));
    Ok(())
}

fn events(store: &dyn MetaStore) -> Result<(), String> {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    let firsts: Vec<Result<Committed, String>> = std::thread::scope(|scope| {
        let submit = || -> Vec<Result<Committed, String>> {
            let two = |batch: &mut Batch| {
                batch.append(&an_event(), Some((bytes("h"), bytes("first"))));
                batch.append(&an_event(), None);
            };
            (0..EACH).map(|_| apply(store, two)).collect()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(submit)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let mut numbers = Vec::new();
    for committed in firsts {
        let committed = committed?;
        ensure_eq!(committed.events, 2);
        numbers.push(committed.first_event.unwrap_or_default());
    }
    numbers.sort_unstable();
    let expected: Vec<u64> = (0..THREADS * EACH).map(|n| n as u64 * 2 + 1).collect();
    ensure_eq!(numbers, expected);
    let stored = keys(store, &key::whole(key::table::EVENT), None, usize::MAX)?;
    let all: Vec<Bytes> = (1..=(THREADS * EACH * 2) as u64).map(key::event).collect();
    ensure_eq!(stored, all);
    let numbered = keys(store, b"h", None, usize::MAX)?;
    let expected: Vec<Bytes> =
        expected.iter().map(|number| [b"h".as_slice(), &number.to_be_bytes()].concat().into()).collect();
    ensure_eq!(numbered, expected);
    ensure_eq!(get(store, "v\0\0\0\0\0\0\0\x01")?, Some(an_event().encode()));
    Ok(())
}

fn compare_and_swap(store: &dyn MetaStore) -> Result<(), String> {
    const THREADS: u64 = 4;
    const EACH: u64 = 50;
    let key = bytes("counter");
    let increment = || -> Result<(), String> {
        loop {
            let old = get(store, "counter")?;
            let count =
                old.as_ref().map_or(0, |old| u64::from_le_bytes(old.as_ref().try_into().unwrap_or_default()));
            let next = Bytes::copy_from_slice(&(count + 1).to_le_bytes());
            let lost = conflicts(store, |batch| {
                batch.expect_value(key.clone(), old);
                batch.put(key.clone(), next);
            })?;
            if !lost {
                return Ok(());
            }
        }
    };
    std::thread::scope(|scope| {
        let work = || (0..EACH).try_for_each(|_| increment());
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    ensure_eq!(get(store, "counter")?, Some(Bytes::copy_from_slice(&(THREADS * EACH).to_le_bytes())));
    Ok(())
}

fn close(store: &dyn MetaStore) -> Result<(), String> {
    let (answer, answers) = mpsc::channel();
    for number in 0_u64..100 {
        let answer = answer.clone();
        let put = batch(|batch| batch.put(Bytes::copy_from_slice(&number.to_be_bytes()), bytes("1")));
        store.submit(put, Box::new(move |outcome| answer.send(outcome.is_ok()).unwrap_or_default()));
    }
    drop(answer);
    store.close();
    ensure_eq!(answers.iter().collect::<Vec<_>>(), vec![true; 100]);
    store.close();
    let late = commit(store, batch(|batch| batch.put(bytes("late"), bytes("1"))));
    if !matches!(late, Err(EngineError::Closed)) {
        return Err(format!("a batch after close was answered {late:?}"));
    }
    Ok(())
}
