//! A sound store has no finding; every kind of damage to bytes has its own.

use super::*;
use crate::disk::OpenMode;
use crate::engine::tests::world::{World, block_on, content, link, push, repository, write};
use crate::limits::BUFFER_BYTES;
use crate::{Engine, EngineConfig};
use std::path::{Path, PathBuf};
use strata_types::{Algorithm, Digest};

pub(super) struct Stored {
    pub(super) world: World,
    pub(super) small: Digest,
    pub(super) large: Digest,
    pub(super) large_file: PathBuf,
    upload_file: PathBuf,
}

/// A store with a blob of each kind and a session.
pub(super) fn stored() -> Stored {
    let world = World::new();
    let engine = world.open().unwrap();
    let (small, large) = block_on(async {
        let small = push(&engine, &content(1, 5000), 5000).await.unwrap();
        push(&engine, &content(2, 5000), 5000).await.unwrap();
        let large = push(&engine, &content(3, BUFFER_BYTES + 99), 60_000).await.unwrap();
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &content(4, 100_000), 60_000).await.unwrap();
        writer.suspend().await.unwrap();
        engine.parts().pending.wait_for_none();
        (small, large)
    });
    let path =
        |number: usize| world.disk.files().into_iter().filter(|path| path.starts_with("blobs")).nth(number);
    let (large_file, upload_file) = (path(0).unwrap(), path(1).unwrap());
    // Not closed: a check finds what a crash leaves, too.
    std::mem::forget(engine);
    Stored { world, small, large, large_file, upload_file }
}

fn checked(stored: &Stored, verify: Verify) -> CheckReport {
    let view = View::new(stored.world.meta.view().unwrap());
    check_with(&stored.world.disk, &view, &CheckOptions { verify, ..CheckOptions::default() }).unwrap()
}

#[test]
fn a_sound_store_has_no_finding() {
    for verify in [Verify::Size, Verify::Checksum, Verify::Digest] {
        let report = checked(&stored(), verify);
        assert_eq!(report.findings, []);
        assert!(report.is_sound());
        assert_eq!((report.blobs, report.blob_bytes), (3, BUFFER_BYTES as u64 + 10_099));
        assert_eq!((report.uploads, report.files, report.segments), (1, 2, 1));
        assert_eq!((report.metadata.blobs, report.metadata.uploads, report.segment_bytes_dead), (3, 1, 0));
    }
}

#[test]
fn every_damage_to_bytes_is_found() {
    type Damage = fn(&mut Vec<u8>);
    type Pick = fn(&Stored) -> PathBuf;
    let flip: Damage = |bytes| bytes[200] ^= 1;
    let cut: Damage = |bytes| bytes.truncate(3000);
    let grow: Damage = |bytes| bytes.push(0);
    let segment = crate::segment::path(0);
    // File, damage, least verification that sees it, errors.
    let cases: [(Pick, Damage, Verify, u64); 6] = [
        (|stored| stored.large_file.clone(), flip, Verify::Checksum, 1),
        (|stored| stored.large_file.clone(), cut, Verify::Size, 1),
        (|stored| stored.large_file.clone(), grow, Verify::Size, 1),
        (|stored| stored.upload_file.clone(), cut, Verify::Size, 1),
        (|_| crate::segment::path(0), flip, Verify::Checksum, 1),
        (|_| crate::segment::path(0), cut, Verify::Size, 2),
    ];
    for (number, (file, damage, least, errors)) in cases.into_iter().enumerate() {
        for verify in [Verify::Size, Verify::Checksum, Verify::Digest] {
            let stored = stored();
            assert!(stored.world.disk.damage(&file(&stored), damage));
            let report = checked(&stored, verify);
            assert_eq!(
                report.errors,
                if verify >= least { errors } else { 0 },
                "{number} {verify:?} {:?}",
                report.findings
            );
        }
    }
    let stored = stored();
    stored.world.disk.remove(&stored.large_file).unwrap();
    stored.world.disk.remove(&segment).unwrap();
    let report = checked(&stored, Verify::Size);
    let places: Vec<&str> = report.findings.iter().map(|finding| finding.place.as_str()).collect();
    assert_eq!(report.errors, 3);
    for digest in [stored.small, stored.large] {
        assert!(places.contains(&format!("blob {digest}").as_str()), "{places:?}");
    }
}

#[test]
fn files_that_no_row_names_are_notes() {
    let stored = stored();
    for path in [
        "blobs/00000000/0000000000000ccc",
        "blobs/00000000/x",
        "blobs/y",
        "segments/00000009.seg",
        "segments/z",
    ] {
        let file = stored.world.disk.open(Path::new(path), OpenMode::Create).unwrap();
        file.write_at(b"12345", 0).unwrap();
    }
    stored
        .world
        .disk
        .damage(&crate::segment::path(0), |bytes| bytes.extend_from_slice(b"never acknowledged"));
    let report = checked(&stored, Verify::Digest);
    assert!(report.is_sound());
    assert_eq!((report.notes, report.unnamed_files, report.unnamed_bytes), (5, 2, 10));
    assert_eq!(report.segment_bytes_dead, 18);
    let few = CheckOptions { findings_max: 2, ..CheckOptions::default() };
    let view = View::new(stored.world.meta.view().unwrap());
    let report = check_with(&stored.world.disk, &view, &few).unwrap();
    assert_eq!((report.findings.len(), report.notes), (2, 5));
}

#[test]
fn a_real_directory_is_checked_while_no_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::new(dir.path());
    config.reserve_bytes = 1024 * 1024;
    config.metadata_memory_bytes = 4 * 1024 * 1024;
    let engine = Engine::open(config.clone()).unwrap();
    block_on(async {
        push(&engine, &content(1, 100), 100).await.unwrap();
        let bytes = content(2, 200_000);
        let digest = crate::meta::digest_of(Algorithm::Sha512, &bytes);
        let mut writer = engine.ingest(Algorithm::Sha512, None).unwrap();
        writer.write(bytes).await.unwrap();
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
    });
    let options = CheckOptions { verify: Verify::Digest, ..CheckOptions::default() };
    assert!(matches!(check(&config, &options), Err(EngineError::Locked { .. })));
    drop(engine);
    let report = check(&config, &options).unwrap();
    assert_eq!((report.findings.as_slice(), report.blobs, report.files), (&[][..], 2, 1));
    config.data_dir = dir.path().join("nothing");
    assert!(check(&config, &options).is_err());
}
