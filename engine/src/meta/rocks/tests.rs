//! The embedded store: the contract, restarts, and damage of every file it has.

use super::*;
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::meta::contract;
use crate::meta::format::{commit, prepare};
use std::path::PathBuf;
use tempfile::TempDir;

impl RocksStore {
    /// Bytes of blocks that are kept in memory.
    pub(crate) fn cached_bytes(&self) -> u64 {
        self.db.property_int_value("rocksdb.block-cache-usage").unwrap().unwrap()
    }
}

fn small() -> RocksConfig {
    RocksConfig { cache_bytes: 1024 * 1024, memtable_bytes: 2 * 1024 * 1024 }
}

fn put(key: &str, value: &[u8]) -> Batch {
    let mut batch = Batch::new(UnixMillis(1));
    batch.put(Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value));
    batch
}

fn get(store: &RocksStore, key: &str) -> Result<Option<Bytes>, EngineError> {
    store.view()?.get(key.as_bytes())
}

/// A store with rows in tables and in the log, left as a killed process leaves it.
fn killed(rows: usize) -> TempDir {
    let (alive, dead) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = RocksStore::open(alive.path(), &small()).unwrap();
    for row in 0..rows {
        commit(&store, put(&format!("table {row:05}"), &[7; 300])).unwrap();
    }
    store.db.flush().unwrap();
    for row in 0..rows {
        commit(&store, put(&format!("log {row:05}"), &[7; 300])).unwrap();
    }
    copy(alive.path(), dead.path());
    dead
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join(LIBRARY_DIR)).unwrap();
    std::fs::copy(from.join("synced"), to.join("synced")).unwrap();
    for entry in std::fs::read_dir(from.join(LIBRARY_DIR)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(LIBRARY_DIR).join(entry.file_name())).unwrap();
    }
}

fn files(directory: &Path, is_it: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join(LIBRARY_DIR)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| is_it(path.file_name().unwrap().to_str().unwrap()));
    paths.sort();
    paths
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

#[test]
fn keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    let stores = std::sync::atomic::AtomicUsize::new(0);
    contract::run(&|| {
        let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Arc::new(RocksStore::open(&directory.path().join(number.to_string()), &small())?))
    })
    .unwrap();
}

#[test]
fn a_restart_finds_everything() {
    let directory = tempfile::tempdir().unwrap();
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    let identity = prepare(&store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    commit(&store, put("a", b"1")).unwrap();
    let mut unsynced = put("b", b"2");
    unsynced.set_unsynced();
    commit(&store, unsynced).unwrap();
    store.close();
    drop(store);
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    assert_eq!(prepare(&store, &SeededEntropy::new(2), UnixMillis(2)).unwrap(), identity);
    assert_eq!(get(&store, "a").unwrap().unwrap(), "1");
    assert_eq!(get(&store, "b").unwrap().unwrap(), "2");
    assert!(store.memory_bytes() > 0);
}

#[test]
fn a_killed_process_loses_nothing() {
    let directory = killed(100);
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    for row in 0..100 {
        assert!(get(&store, &format!("table {row:05}")).unwrap().is_some(), "{row}");
        assert!(get(&store, &format!("log {row:05}")).unwrap().is_some(), "{row}");
    }
}

#[test]
fn a_view_outlives_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    commit(&store, put("a", b"1")).unwrap();
    let view = store.view().unwrap();
    drop(store);
    assert_eq!(view.get(b"a").unwrap().unwrap(), "1");
    assert!(format!("{view:?}").contains("sequence"));
}

#[test]
fn reading_only_changes_no_file() {
    let directory = killed(10);
    let listing = |directory: &Path| {
        let stat = |path: PathBuf| {
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        };
        files(directory, |name| !name.starts_with("LOG")).into_iter().map(stat).collect::<Vec<_>>()
    };
    let before = listing(directory.path());
    let store = RocksStore::open_read_only(directory.path(), &small()).unwrap();
    assert!(get(&store, "log 00009").unwrap().is_some());
    assert!(matches!(commit(&store, put("x", b"")), Err(EngineError::ReadOnly)));
    drop(store);
    assert_eq!(listing(directory.path()), before);
    let nothing = tempfile::tempdir().unwrap();
    let missing = RocksStore::open_read_only(nothing.path(), &small());
    assert!(matches!(missing, Err(EngineError::StoreUnreadable { .. })), "{missing:?}");
}

#[test]
fn two_openers_do_not_meet() {
    let directory = tempfile::tempdir().unwrap();
    let _first = RocksStore::open(directory.path(), &small()).unwrap();
    let second = RocksStore::open(directory.path(), &small());
    assert!(matches!(second, Err(EngineError::Locked { .. })), "{second:?}");
}

/// Opens the damaged store and reads every row that was in it: each answer is the right one or an error, and at least one
/// error tells the operator.
fn damage_is_told(directory: &Path, rows: usize) {
    let store = match RocksStore::open(directory, &small()) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, EngineError::StoreUnreadable { .. }), "{error}");
            assert!(error.to_string().contains("backup"), "{error}");
            return;
        }
    };
    let mut told = 0;
    for row in 0..rows {
        for table in ["table", "log"] {
            match get(&store, &format!("{table} {row:05}")) {
                Ok(value) => assert_eq!(value.as_deref(), Some([7; 300].as_slice()), "{table} {row}"),
                Err(error) => {
                    assert!(matches!(error, EngineError::Corrupt { .. } | EngineError::Io { .. }), "{error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 0, "the damage went unnoticed");
}

#[test]
fn damage_of_a_table_is_told() {
    let directory = killed(100);
    let [table] = files(directory.path(), |name| has_extension(name, "sst")).try_into().unwrap();
    let mut bytes = std::fs::read(&table).unwrap();
    bytes[20] ^= 0x40;
    std::fs::write(&table, &bytes).unwrap();
    damage_is_told(directory.path(), 100);
    bytes.truncate(100);
    std::fs::write(&table, &bytes).unwrap();
    damage_is_told(directory.path(), 100);
    std::fs::remove_file(&table).unwrap();
    damage_is_told(directory.path(), 100);
}

#[test]
fn damage_of_the_manifest_is_told() {
    for name in ["MANIFEST-", "CURRENT"] {
        for damage in ["flip", "cut", "remove"] {
            let directory = killed(10);
            let [path] = files(directory.path(), |file| file.starts_with(name)).try_into().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            match damage {
                "flip" => bytes[8] ^= 0x40,
                _ => bytes.truncate(5),
            }
            match damage {
                "remove" => std::fs::remove_file(&path).unwrap(),
                _ => std::fs::write(&path, &bytes).unwrap(),
            }
            let opened = RocksStore::open(directory.path(), &small());
            assert!(
                matches!(opened, Err(EngineError::StoreUnreadable { .. })),
                "{name} {damage}: {opened:?}"
            );
        }
    }
}

#[test]
fn a_first_open_that_was_cut_short_is_gone_on_with() {
    let directory = killed(10);
    let library = directory.path().join(LIBRARY_DIR);
    let begun = tempfile::tempdir().unwrap();
    let place = begun.path().join(LIBRARY_DIR);
    std::fs::create_dir_all(&place).unwrap();
    let [manifest] = files(directory.path(), |file| file.starts_with("MANIFEST-")).try_into().unwrap();
    // As the library leaves it before it writes the file that names the state: nothing was ever in this store.
    std::fs::copy(manifest, place.join("MANIFEST-000001")).unwrap();
    std::fs::copy(library.join("IDENTITY"), place.join("IDENTITY")).unwrap();
    std::fs::write(place.join("000001.dbtmp"), b"MANIFEST-0000").unwrap();
    let store = RocksStore::open(begun.path(), &small()).unwrap();
    assert!(crate::meta::View::new(store.view().unwrap()).is_empty().unwrap());
    store.close();
    drop(store);
    // With a log beside it there was something, and it is not taken for an empty store.
    std::fs::remove_file(place.join("CURRENT")).unwrap();
    assert!(
        !files(begun.path(), |file| Path::new(file).extension().is_some_and(|end| end == "log")).is_empty()
    );
    let opened = RocksStore::open(begun.path(), &small());
    assert!(matches!(opened, Err(EngineError::StoreUnreadable { .. })), "{opened:?}");
}

fn write_ahead_log(directory: &Path) -> PathBuf {
    let mut logs = files(directory, |name| has_extension(name, "log"));
    logs.retain(|path| path.metadata().unwrap().len() > 0);
    let [log] = logs.try_into().unwrap();
    log
}

#[test]
fn a_hole_in_acknowledged_commits_is_told() {
    let directory = killed(100);
    let log = write_ahead_log(directory.path());
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&log, &bytes).unwrap();
    for _ in 0..2 {
        let opened = RocksStore::open(directory.path(), &small());
        let Err(EngineError::StoreUnreadable { reason, .. }) = opened else { panic!("{opened:?}") };
        assert!(reason.contains("acknowledged changes are missing"), "{reason}");
    }
    assert_eq!(std::fs::read(&log).unwrap(), bytes, "the evidence was changed");
    // The way out that the message names.
    std::fs::remove_file(directory.path().join("synced")).unwrap();
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    assert!(get(&store, "log 00000").unwrap().is_some());
    assert_eq!(get(&store, "log 00099").unwrap(), None);
}

#[test]
fn a_missing_log_is_told() {
    let directory = killed(10);
    std::fs::remove_file(write_ahead_log(directory.path())).unwrap();
    let opened = RocksStore::open(directory.path(), &small());
    assert!(matches!(opened, Err(EngineError::StoreUnreadable { .. })), "{opened:?}");
}

#[test]
fn a_lost_log_is_told_and_can_be_put_back() {
    for remove in [true, false] {
        let directory = killed(10);
        let log = write_ahead_log(directory.path());
        let bytes = std::fs::read(&log).unwrap();
        if remove {
            std::fs::remove_file(&log).unwrap();
        } else {
            std::fs::write(&log, b"").unwrap();
        }
        let opened = RocksStore::open_read_only(directory.path(), &small());
        assert!(matches!(opened, Err(EngineError::StoreUnreadable { .. })), "{opened:?}");
        let opened = RocksStore::open(directory.path(), &small());
        assert!(matches!(opened, Err(EngineError::StoreUnreadable { .. })), "{opened:?}");
        std::fs::write(&log, &bytes).unwrap();
        let store = RocksStore::open(directory.path(), &small()).unwrap();
        assert!(get(&store, "log 00009").unwrap().is_some());
    }
}

#[test]
fn a_lost_database_is_told() {
    let directory = killed(10);
    let library = directory.path().join(LIBRARY_DIR);
    std::fs::remove_dir_all(&library).unwrap();
    let opened = RocksStore::open(directory.path(), &small());
    assert!(matches!(opened, Err(EngineError::StoreUnreadable { .. })), "{opened:?}");
    assert!(!library.exists());
}

#[test]
fn a_torn_tail_is_cut_in_silence() {
    let whole = killed(10);
    let log = write_ahead_log(whole.path());
    let synced = std::fs::read(&log).unwrap();
    // Garbage, a hole of zeros, and half a record behind what was acknowledged.
    for tail in [[0xa5; 500].as_slice(), &[0; 4096], &synced[..100]] {
        let directory = tempfile::tempdir().unwrap();
        copy(whole.path(), directory.path());
        let log = write_ahead_log(directory.path());
        std::fs::write(&log, [synced.as_slice(), tail].concat()).unwrap();
        let store = RocksStore::open(directory.path(), &small()).unwrap();
        assert!(get(&store, "log 00009").unwrap().is_some());
        commit(&store, put("more", b"1")).unwrap();
        drop(store);
        let store = RocksStore::open(directory.path(), &small()).unwrap();
        assert!(get(&store, "more").unwrap().is_some());
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(LIBRARY_DIR), b"a file where a directory belongs").unwrap();
    let opened = RocksStore::open(directory.path(), &small());
    let Err(error @ EngineError::Io { .. }) = opened else { panic!("{opened:?}") };
    assert!(error.to_string().contains(LIBRARY_DIR), "{error}");
}

#[test]
fn large_values_and_many_rows_survive_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let store = RocksStore::open(directory.path(), &small()).unwrap();
    let large = vec![9; 4 * 1024 * 1024];
    for round in 0..6 {
        commit(&store, put(&format!("large {round}"), &large)).unwrap();
    }
    store.db.compact_range(None::<&[u8]>, None::<&[u8]>);
    for round in 0..6 {
        assert_eq!(get(&store, &format!("large {round}")).unwrap().unwrap(), large);
    }
}

#[test]
fn the_librarys_threads_give_way() {
    let directory = tempfile::tempdir().unwrap();
    let _store = RocksStore::open(directory.path(), &small()).unwrap();
    let mut niceness = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        // Threads of other tests may end meanwhile.
        let Ok(stat) = std::fs::read_to_string(task.unwrap().path().join("stat")) else { continue };
        let (name, fields) = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(") ")).unwrap();
        if BACKGROUND_THREADS.contains(&name) {
            // proc_pid_stat(5): the nineteenth field, the third is the first behind the name.
            niceness.push(fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap());
        }
    }
    assert!(niceness.len() >= BACKGROUND_THREADS.len(), "{niceness:?}");
    assert!(niceness.iter().all(|nice| *nice >= 10), "{niceness:?}");
}
