//! Settings, notes, and the event log read both ways and by time.

use super::verbs::{at, manifest, name};
use super::{apply, errors, memory, view};
use crate::clock::UnixMillis;
use crate::error::EngineError;
use crate::limits::{SETTING_BYTES_MAX, SETTING_KEY_BYTES_MAX};
use crate::meta::{Batch, EventKind, MetaStore, Restore, View, commit};
use bytes::Bytes;
use strata_types::{RepositoryName, Tag};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn change(store: &dyn MetaStore, fill: impl FnOnce(&mut Batch)) -> Result<(), EngineError> {
    apply(store, |batch, _| {
        fill(batch);
        Ok(())
    })
}

fn keys(view: &View, prefix: &str, after: Option<&str>, limit: usize) -> Vec<Bytes> {
    let page = view.settings(prefix.as_bytes(), after.map(str::as_bytes), limit).unwrap();
    page.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn settings_are_kept_and_listed_by_prefix() {
    let store = memory();
    change(&*store, |batch| {
        for key in ["account/ada", "account/bob", "account", "registry/hy", "used/K"] {
            batch.put_setting(key.as_bytes(), bytes(key));
        }
    })
    .unwrap();
    let now = view(&*store);
    assert_eq!(now.setting(b"account/ada").unwrap(), Some(bytes("account/ada")));
    assert_eq!(now.setting(b"account/a").unwrap(), None);
    assert_eq!(keys(&now, "account/", None, 9), ["account/ada", "account/bob"]);
    assert_eq!(keys(&now, "account/", Some("account/ada"), 9), ["account/bob"]);
    assert_eq!(keys(&now, "account/", Some("account/b"), 9), ["account/bob"]);
    assert_eq!(keys(&now, "", None, 2), ["account", "account/ada"]);
    assert_eq!(keys(&now, "", Some("registry/hy"), 9), ["used/K"]);
    assert_eq!(keys(&now, "x", None, 9), Vec::<Bytes>::new());
    change(&*store, |batch| batch.delete_setting(b"account")).unwrap();
    assert_eq!(keys(&view(&*store), "account", None, 1), ["account/ada"]);
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn a_change_of_a_setting_expects_what_was_seen() {
    let store = memory();
    let swap = |seen: Option<&str>, to: &str| {
        change(&*store, |batch| {
            batch.expect_setting(b"k", seen.map(bytes));
            batch.put_setting(b"k", bytes(to));
        })
    };
    assert!(matches!(swap(Some("one"), "two"), Err(EngineError::Conflict)));
    swap(None, "one").unwrap();
    assert!(matches!(swap(None, "two"), Err(EngineError::Conflict)));
    swap(Some("one"), "two").unwrap();
    assert_eq!(view(&*store).setting(b"k").unwrap(), Some(bytes("two")));
    // What is there stays, and a batch may bring what it expects.
    change(&*store, |batch| {
        batch.put_setting_if_absent(b"k", bytes("three"));
        batch.put_setting_if_absent(b"l", bytes("four"));
        batch.expect_setting_present(b"k");
        batch.expect_setting_present(b"l");
    })
    .unwrap();
    assert_eq!(view(&*store).setting(b"k").unwrap(), Some(bytes("two")));
    assert_eq!(view(&*store).setting(b"l").unwrap(), Some(bytes("four")));
    let absent = change(&*store, |batch| batch.expect_setting_present(b"m"));
    assert!(matches!(absent, Err(EngineError::Conflict)));
}

#[test]
fn a_setting_that_is_too_large_refuses_its_batch() {
    let store = memory();
    let put = |key: usize, value: usize| {
        change(&*store, |batch| {
            batch.put_setting(b"beside", bytes("it"));
            batch.put_setting(&vec![b'k'; key], vec![0; value].into());
        })
    };
    let refused = put(SETTING_KEY_BYTES_MAX + 1, 1);
    assert!(matches!(refused, Err(EngineError::TooLarge { limit_bytes: 512 })), "{refused:?}");
    let refused = put(1, SETTING_BYTES_MAX + 1);
    assert!(matches!(refused, Err(EngineError::TooLarge { limit_bytes: 65_536 })), "{refused:?}");
    assert_eq!(keys(&view(&*store), "", None, 9), Vec::<Bytes>::new(), "nothing of the batch is there");
    put(SETTING_KEY_BYTES_MAX, SETTING_BYTES_MAX).unwrap();
    assert_eq!(keys(&view(&*store), "", None, 9).len(), 2);
}

/// A log with one note at each of these moments.
fn log(store: &dyn MetaStore, moments: &[u64]) {
    for at in moments {
        let mut batch = Batch::new(UnixMillis(*at));
        batch.set_detail(bytes("who"));
        batch.note(None);
        commit(store, batch).unwrap();
    }
}

/// Removes events from before a moment, and says how many.
fn trim(store: &dyn MetaStore, before: u64, rows_max: usize) -> u64 {
    let removed = apply(store, |batch, view| batch.trim_events(view, UnixMillis(before), rows_max)).unwrap();
    assert_eq!(errors(&view(store)), Vec::<String>::new());
    removed
}

#[test]
fn the_front_of_the_log_goes_and_its_end_stays() {
    let store = memory();
    let numbers = || -> Vec<u64> {
        view(&*store).events(0, 99).unwrap().into_iter().map(|(number, _)| number).collect()
    };
    assert_eq!(trim(&*store, 100, 9), 0);
    log(&*store, &[1, 2, 3, 4, 5]);
    assert_eq!((trim(&*store, 1, 9), numbers()), (0, vec![1, 2, 3, 4, 5]));
    assert_eq!((trim(&*store, 4, 2), numbers()), (2, vec![3, 4, 5]));
    assert_eq!((trim(&*store, 4, 2), numbers()), (1, vec![4, 5]));
    assert_eq!((trim(&*store, 100, 9), numbers()), (1, vec![5]), "numbers must not repeat");
    assert_eq!(trim(&*store, 100, 9), 0);
    let store = store.kill().unwrap();
    log(&store, &[6]);
    assert_eq!(view(&store).last_event().unwrap(), 6);
    assert_eq!(view(&store).log_begins().unwrap(), 5);
    // What is missing at the front is told, now that it is known where the log begins.
    store.corrupt(crate::meta::key::event(5), None);
    assert_eq!(errors(&view(&store)), ["event 6: events between 4 and this one are missing"]);
}

#[test]
fn two_who_trim_at_once_do_so_once() {
    let store = memory();
    log(&*store, &[1, 2, 3]);
    let before = view(&*store);
    let mut late = Batch::new(UnixMillis(9));
    assert_eq!(late.trim_events(&before, UnixMillis(2), 9).unwrap(), 1);
    assert_eq!(trim(&*store, 3, 9), 2);
    assert!(matches!(commit(&*store, late), Err(EngineError::Conflict)));
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn moves_of_tags_go_with_their_events_but_for_the_last() {
    let store = memory();
    let (repository, tag) = (name("hy/a"), Tag::parse("v1").unwrap());
    for (moment, text) in [(10, "one"), (20, "two"), (30, "one"), (40, "two")] {
        at(&*store, moment, |batch, view| {
            batch.put_manifest(view, &manifest("hy/a", text, &[], &["v1"])).unwrap();
        })
        .unwrap();
    }
    let moves = || -> Vec<u64> {
        let page = view(&*store).tag_history(&repository, &tag, None, 99).unwrap();
        page.into_iter().map(|(_, record)| record.at.0).collect()
    };
    assert_eq!(moves(), [10, 20, 30, 40]);
    trim(&*store, 20, 99);
    assert_eq!(moves(), [20, 30, 40]);
    trim(&*store, 1000, 99);
    assert_eq!(moves(), [40]);
    // The last one stays until another has followed it that is old as well.
    for (moment, text) in [(50, "one"), (60, "two")] {
        at(&*store, moment, |batch, view| {
            batch.put_manifest(view, &manifest("hy/a", text, &[], &["v1"])).unwrap();
        })
        .unwrap();
    }
    trim(&*store, 50, 99);
    assert_eq!(moves(), [50, 60]);
    // A deletion that can be undone outlives the event that tells it.
    at(&*store, 70, |batch, view| assert!(batch.delete_tag(view, &repository, &tag).unwrap())).unwrap();
    log(&*store, &[80]);
    trim(&*store, 1000, 99);
    let (number, _) = view(&*store).trash_page(None, 9).unwrap().pop().unwrap();
    at(&*store, 90, |batch, view| {
        let restored = batch.restore(view, number, UnixMillis(0), false).unwrap();
        assert!(matches!(restored, Restore::Done(_)), "{restored:?}");
    })
    .unwrap();
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn a_note_is_an_event_with_the_detail_of_its_batch() {
    let store = memory();
    log(&*store, &[5]);
    let named = RepositoryName::parse("hy/busybox").unwrap();
    let committed = apply(&*store, |batch, _| {
        batch.note(Some(&named));
        Ok(())
    });
    committed.unwrap();
    let events = view(&*store).events(0, 9).unwrap();
    let told: Vec<_> = events.iter().map(|(number, event)| (*number, event.kind, event.at.0)).collect();
    assert_eq!(told, [(1, EventKind::Noted, 5), (2, EventKind::Noted, 7)]);
    assert_eq!((&events[0].1.repository, &events[0].1.detail), (&None, &bytes("who")));
    assert_eq!((&events[1].1.repository, &events[1].1.detail), (&Some(named), &Bytes::new()));
    assert_eq!(errors(&view(&*store)), Vec::<String>::new());
}

#[test]
fn the_log_is_read_both_ways() {
    let store = memory();
    let numbers = |before, limit| -> Vec<u64> {
        let page = view(&*store).events_before(before, limit).unwrap();
        page.into_iter().map(|(number, _)| number).collect()
    };
    assert_eq!(numbers(None, 9), Vec::<u64>::new());
    log(&*store, &[1, 2, 3, 4, 5]);
    assert_eq!(numbers(None, 9), [5, 4, 3, 2, 1]);
    assert_eq!(numbers(None, 2), [5, 4]);
    assert_eq!(numbers(Some(4), 2), [3, 2]);
    assert_eq!(numbers(Some(2), 2), [1]);
    assert_eq!(numbers(Some(1), 2), Vec::<u64>::new());
    assert_eq!(numbers(Some(0), 2), Vec::<u64>::new());
    assert_eq!(numbers(Some(u64::MAX), 1), [5]);
    assert_eq!(numbers(None, 0), Vec::<u64>::new());
    assert_eq!(trim(&*store, 3, 9), 2);
    assert_eq!(numbers(None, 9), [5, 4, 3]);
    assert_eq!(numbers(Some(4), 9), [3]);
    assert_eq!(numbers(Some(3), 9), Vec::<u64>::new());
}

#[test]
fn the_log_is_found_by_time() {
    let store = memory();
    let since = |at| view(&*store).first_event_since(UnixMillis(at)).unwrap();
    assert_eq!(since(0), 1, "the first that will be");
    log(&*store, &[10, 20, 20, 30]);
    assert_eq!([0, 10, 11, 20, 21, 30, 31].map(since), [1, 1, 2, 2, 4, 4, 5]);
    assert_eq!(trim(&*store, 20, 9), 1);
    assert_eq!([0, 20, 31].map(since), [2, 2, 5]);
}
