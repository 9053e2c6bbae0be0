//! The engine on real files and RocksDB: what the simulated ports cannot show.

use super::world::{audit_blobs, block_on, content, digest, link, pull, push, repository, write};
use crate::limits::BUFFER_BYTES;
use crate::{BlobBody, Engine, EngineConfig, EngineError};
use std::os::unix::fs::FileExt;
use strata_types::Algorithm;

fn config(dir: &std::path::Path) -> EngineConfig {
    let mut config = EngineConfig::new(dir.join("data"));
    config.reserve_bytes = 1024 * 1024;
    config.metadata_memory_bytes = 4 * 1024 * 1024;
    config
}

#[test]
fn everything_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut pushed = Vec::new();
    let bytes = content(7, 9 * BUFFER_BYTES + 100);
    let engine = Engine::open(config(dir.path())).unwrap();
    let id = block_on(async {
        for (seed, size) in
            [(1, 0), (2, 4000), (3, 70_000), (4, BUFFER_BYTES), (5, 20 * BUFFER_BYTES + 12_345)]
        {
            pushed.push(push(&engine, &content(seed, size), 65_536).await.unwrap());
        }
        let id = engine.start_upload(&repository(), Algorithm::Sha256).await.unwrap().id;
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        write(&mut writer, &bytes.slice(..9 * BUFFER_BYTES - 77), 65_536).await.unwrap();
        writer.suspend().await.unwrap();
        id
    });
    let identity = engine.identity();
    assert!(matches!(
        Engine::open(config(dir.path())),
        Err(EngineError::Locked { pid }) if pid == Some(std::process::id())
    ));
    drop(engine);
    let engine = Engine::open(config(dir.path())).unwrap();
    assert_eq!(engine.identity(), identity);
    block_on(async {
        let mut writer = engine.resume_upload(&repository(), &id).await.unwrap();
        assert_eq!(writer.offset(), 9 * BUFFER_BYTES as u64 - 77);
        write(&mut writer, &bytes.slice(9 * BUFFER_BYTES - 77..), 65_536).await.unwrap();
        let digest = digest(&bytes);
        writer.finish(&digest, link(&engine, &digest)).await.unwrap();
        pushed.push(digest);
        audit_blobs(&engine, &pushed).await;
    });
}

#[test]
fn a_blobs_descriptor_reads_the_blob() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(dir.path())).unwrap();
    block_on(async {
        let bytes = content(1, 300_000);
        let digest = push(&engine, &bytes, 65_536).await.unwrap();
        let Some(BlobBody::File(file)) = engine.open_blob(&digest).await.unwrap() else { panic!("a file") };
        let fd = file.as_fd().unwrap().try_clone_to_owned().unwrap();
        let mut whole = vec![0; 300_000];
        std::fs::File::from(fd).read_exact_at(&mut whole, 0).unwrap();
        assert_eq!(bytes, whole);
    });
}

#[test]
fn a_store_whose_files_are_not_mounted_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = dir.path().join("data/blobs");
    let engine = Engine::open(config(dir.path())).unwrap();
    let blob = block_on(push(&engine, &content(1, 300_000), 65_536)).unwrap();
    drop(engine);
    std::fs::rename(&blobs, dir.path().join("elsewhere")).unwrap();
    let refused = Engine::open(config(dir.path())).unwrap_err();
    assert!(refused.to_string().contains("mount"), "{refused}");
    assert!(!blobs.exists(), "it is not made either");
    std::fs::rename(dir.path().join("elsewhere"), &blobs).unwrap();
    let engine = Engine::open(config(dir.path())).unwrap();
    block_on(audit_blobs(&engine, &[blob]));
}

#[test]
fn a_cut_file_is_not_served_and_a_cut_directory_of_nothing_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(config(dir.path())).unwrap();
    let digest = block_on(push(&engine, &content(1, 300_000), 65_536)).unwrap();
    drop(engine);
    let blobs = dir.path().join("data/blobs/00000000");
    let mut files: Vec<_> = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let path = files.remove(0);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(299_999).unwrap();
    let engine = Engine::open(config(dir.path())).unwrap();
    block_on(async {
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        drop(engine);
        let engine = Engine::open(config(dir.path())).unwrap();
        assert!(engine.open_blob(&digest).await.unwrap().is_none());
        let other = push(&engine, &content(2, 100_000), 65_536).await.unwrap();
        assert!(pull(&engine, &other).await.unwrap().is_some());
    });
}
