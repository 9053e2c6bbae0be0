//! Backups of a real store on a real directory: consistent, held, and never taken for whole before they are.

use super::*;
use crate::check::{CheckOptions, check, repair};
use crate::config::EngineConfig;
use crate::engine::Engine;
use crate::meta::Batch;
use crate::sync::wait_for;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::time::Duration;
use strata_types::{Algorithm, Digest, RepositoryName};

const HOLD: Duration = Duration::from_mins(10);

fn open(directory: &Path) -> Engine {
    let mut config = EngineConfig::new(directory);
    config.reserve_bytes = 0;
    config.gc.interval = Duration::ZERO;
    config.gc.grace = Duration::ZERO;
    Engine::open(config).unwrap()
}

fn repository() -> RepositoryName {
    RepositoryName::parse("a/b").unwrap()
}

/// Stores a blob and links it.
fn push(engine: &Engine, bytes: &[u8]) -> Digest {
    let digest = Digest::Sha256(Sha256::digest(bytes).into());
    let mut writer = engine.ingest(Algorithm::Sha256, None).unwrap();
    wait_for(writer.write(Bytes::copy_from_slice(bytes))).unwrap();
    let mut batch = Batch::new(engine.now());
    batch.create_repository(&repository());
    batch.link_blob(&repository(), &digest);
    wait_for(writer.finish(&digest, batch)).unwrap();
    digest
}

struct Always;

impl Watch for Always {
    fn go_on(&mut self, _: &Progress) -> bool {
        true
    }
}

struct Never;

impl Watch for Never {
    fn go_on(&mut self, _: &Progress) -> bool {
        false
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

#[test]
fn a_backup_is_a_store_with_what_there_was() {
    for copy in [false, true] {
        let (data, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let engine = open(data.path());
        let (small, large) = (push(&engine, b"small"), push(&engine, &vec![7; 300_000]));
        let session = wait_for(engine.start_upload(&repository(), Algorithm::Sha256)).unwrap();
        let mut writer = wait_for(engine.resume_upload(&repository(), &session.id)).unwrap();
        wait_for(writer.write(Bytes::from(vec![9; 200_000]))).unwrap();
        let left = wait_for(writer.suspend()).unwrap();
        let backup = wait_for(engine.start_backup(HOLD)).unwrap();
        // After the moment of the backup: not in it.
        let late = push(&engine, b"late");
        push(&engine, &vec![8; 100_000]);
        let filled = fill(&backup, target.path(), Options { copy }, &mut Always).unwrap();
        engine.renew_backup(&backup.id, HOLD).unwrap();
        let summary = filled.finish().unwrap();
        engine.end_backup(&backup.id).unwrap();
        assert!(summary.problems.is_empty(), "{summary:?}");
        assert_eq!((summary.files, summary.linked), (3, u64::from(!copy)), "{summary:?}");
        assert!(files(&data.path().join(BACKUPS)).is_empty());
        drop(engine);

        let report = check(&EngineConfig::new(target.path()), &CheckOptions::default()).unwrap();
        assert!(report.is_sound() && report.blobs == 2 && report.unnamed_files == 0, "{report:?}");
        let restored = open(target.path());
        let view = restored.view().unwrap();
        assert!(view.blob(&small).unwrap().is_some() && view.blob(&large).unwrap().is_some());
        assert!(view.blob(&late).unwrap().is_none());
        let mut writer = wait_for(restored.resume_upload(&repository(), &session.id)).unwrap();
        assert_eq!(writer.offset(), left.offset, "an upload goes on in the backup");
        wait_for(writer.write(Bytes::from(vec![9; 1000]))).unwrap();
        let digest = Digest::Sha256(Sha256::digest(vec![9; 201_000]).into());
        wait_for(writer.finish(&digest, Batch::new(restored.now()))).unwrap();
        drop(restored);
        // What the backup does to its files does not reach the store.
        let report = check(&EngineConfig::new(data.path()), &CheckOptions::default()).unwrap();
        assert!(report.is_sound() && report.blobs == 4, "{report:?}");
    }
}

#[test]
fn what_is_removed_meanwhile_waits_for_the_end() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path());
    let session = wait_for(engine.start_upload(&repository(), Algorithm::Sha256)).unwrap();
    let mut writer = wait_for(engine.resume_upload(&repository(), &session.id)).unwrap();
    wait_for(writer.write(Bytes::from(vec![9; 200_000]))).unwrap();
    wait_for(writer.suspend()).unwrap();
    let there = files(&data.path().join("blobs"));
    assert_eq!(there.len(), 1);
    let backup = wait_for(engine.start_backup(HOLD)).unwrap();
    wait_for(engine.cancel_upload(&repository(), &session.id)).unwrap();
    assert_eq!(files(&data.path().join("blobs")), there, "its row is gone, its file is held");
    let target = tempfile::tempdir().unwrap();
    let filled = fill(&backup, target.path(), Options::default(), &mut Always).unwrap();
    assert!(filled.finish().unwrap().problems.is_empty());
    engine.end_backup(&backup.id).unwrap();
    // The end of the store waits for what is under way.
    engine.close();
    assert!(files(&data.path().join("blobs")).is_empty());
    assert!(matches!(engine.end_backup(&backup.id), Err(EngineError::NotFound)));
}

#[test]
fn a_part_is_refused_and_can_be_made_anew() {
    let (data, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    push(&engine, &vec![7; 300_000]);
    let backup = wait_for(engine.start_backup(HOLD)).unwrap();
    let given_up = fill(&backup, target.path(), Options::default(), &mut Never);
    assert!(matches!(given_up, Err(EngineError::Interrupted)));
    let refused = Engine::open(EngineConfig::new(target.path())).unwrap_err();
    assert!(matches!(refused, EngineError::IncompleteBackup { .. }), "{refused}");
    let refused = check(&EngineConfig::new(target.path()), &CheckOptions::default()).unwrap_err();
    assert!(matches!(refused, EngineError::IncompleteBackup { .. }), "{refused}");
    let refused = repair(&EngineConfig::new(target.path()), &CheckOptions::default()).unwrap_err();
    assert!(matches!(refused, EngineError::IncompleteBackup { .. }), "{refused}");
    // Whoever tried to open it may have left this.
    std::fs::write(target.path().join("LOCK"), b"1\n").unwrap();
    // All there, but not finished: the same.
    drop(fill(&backup, target.path(), Options::default(), &mut Always).unwrap());
    assert!(matches!(
        Engine::open(EngineConfig::new(target.path())),
        Err(EngineError::IncompleteBackup { .. })
    ));
    fill(&backup, target.path(), Options::default(), &mut Always).unwrap().finish().unwrap();
    let sound = check(&EngineConfig::new(target.path()), &CheckOptions::default()).unwrap();
    assert!(sound.is_sound() && sound.blobs == 1);
    // A whole one is not written over, nor is anything else.
    let again = fill(&backup, target.path(), Options::default(), &mut Always);
    assert!(matches!(again, Err(EngineError::BackupTarget { why: "it is not empty", .. })));
    let inside = fill(&backup, &data.path().join("x"), Options::default(), &mut Always);
    assert!(matches!(inside, Err(EngineError::BackupTarget { .. })));
}

#[test]
fn a_hold_that_nobody_renews_ends() {
    let data = tempfile::tempdir().unwrap();
    let engine = open(data.path());
    push(&engine, b"x");
    let backup = wait_for(engine.start_backup(Duration::ZERO)).err();
    assert!(matches!(backup, Some(EngineError::NotFound)), "it was over before it was told: {backup:?}");
    for _ in 0..BACKUPS_MAX {
        wait_for(engine.start_backup(HOLD)).unwrap();
    }
    let many = wait_for(engine.start_backup(HOLD));
    assert!(matches!(many, Err(EngineError::BackupsUnderWay { max: BACKUPS_MAX })));
    let ids: Vec<String> = engine.backups().into_iter().map(|backup| backup.id).collect();
    assert_eq!(ids.len(), BACKUPS_MAX);
    engine.renew_backup(&ids[0], Duration::ZERO).unwrap_err();
    engine.end_backup(&ids[1]).unwrap();
    assert!(!engine.backups().iter().any(|backup| ids[..2].contains(&backup.id)));
    assert!(engine.parts().holds.is_held());
    engine.close();
    assert!(!engine.parts().holds.is_held());
    assert!(files(&data.path().join(BACKUPS)).is_empty(), "the end of the store ends all");
    assert!(wait_for(engine.start_backup(HOLD)).is_err());
}

#[test]
fn what_an_earlier_process_left_is_removed() {
    let data = tempfile::tempdir().unwrap();
    drop(open(data.path()));
    std::fs::create_dir_all(data.path().join(BACKUPS).join("0123456789abcdef/rocksdb")).unwrap();
    drop(open(data.path()));
    assert!(!data.path().join(BACKUPS).exists());
}

#[test]
fn a_damaged_store_is_backed_up_as_far_as_it_goes() {
    let (data, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    let small = push(&engine, b"small");
    push(&engine, &vec![7; 300_000]);
    let lost = files(&data.path().join("blobs"));
    std::fs::remove_file(&lost[0]).unwrap();
    let backup = wait_for(engine.start_backup(HOLD)).unwrap();
    let summary = fill(&backup, target.path(), Options::default(), &mut Always).unwrap().finish().unwrap();
    assert_eq!((summary.problems_total, summary.problems.len()), (1, 1), "{summary:?}");
    drop(engine);
    let restored = open(target.path());
    assert!(wait_for(restored.open_blob(&small)).unwrap().is_some());
}

#[test]
fn garbage_collection_takes_nothing_from_a_backup() {
    let (data, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open(data.path());
    let (small, large) = (push(&engine, b"small"), push(&engine, &vec![7; 300_000]));
    let there = files(&data.path().join("blobs"));
    let backup = wait_for(engine.start_backup(HOLD)).unwrap();
    let report = wait_for(engine.gc_run()).unwrap();
    assert_eq!(report.removed.of(crate::GcKind::Blob).objects, 2, "{report:?}");
    assert!(engine.view().unwrap().blob(&large).unwrap().is_none(), "for the store it is gone");
    assert_eq!(files(&data.path().join("blobs")), there, "and its file is held");
    let summary = fill(&backup, target.path(), Options::default(), &mut Always).unwrap().finish().unwrap();
    assert!(summary.problems.is_empty() && summary.files == 2, "{summary:?}");
    engine.end_backup(&backup.id).unwrap();
    wait_for(engine.gc_run()).unwrap();
    assert!(files(&data.path().join("blobs")).is_empty(), "nothing holds it any more");
    drop(engine);
    let report = check(&EngineConfig::new(target.path()), &CheckOptions::default()).unwrap();
    assert!(report.is_sound() && report.blobs == 2, "{report:?}");
    let restored = open(target.path());
    assert!(wait_for(restored.open_blob(&small)).unwrap().is_some());
    assert!(wait_for(restored.open_blob(&large)).unwrap().is_some());
}
