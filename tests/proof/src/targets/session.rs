//! Upload sessions, as a damaged store could hold them: no panic, and what is continued is continued right.

use bytes::Bytes;
use std::path::Path;
use strata_engine::disk::{Disk as _, OpenMode};
use strata_engine::meta::digest::digest_of;
use strata_engine::meta::key::Key;
use strata_engine::sim::{World, named_file, upload_record};
use strata_engine::{EngineError, Health};
use strata_types::{Algorithm, UploadId};

/// What is appended to a session that can be continued.
const MORE: &[u8] = b"and more";

pub(super) fn run(data: &[u8]) {
    let Some((pages, value)) = data.split_first() else { return };
    let value = Bytes::copy_from_slice(value);
    // One that does not decode is found by the `record` target, and by the same code.
    let Ok(record) = upload_record(value.clone()) else { return };
    let id = UploadId::from_bytes([7; 16]);
    let mut world = World::make().expect("threads");
    let engine = world.open().expect("an empty store opens");
    engine.close();
    world.end(engine).expect("threads");
    world.meta.memory.corrupt(Key::Upload { id }.encode(), Some(value));
    let stored: Vec<u8> = (0..usize::from(*pages) * 512).map(|at| (at * 31) as u8).collect();
    if let Some(generation) = record.generation {
        let (path, owner) = named_file(generation, &id);
        world.meta.memory.corrupt(Key::Generation { generation }.encode(), Some(owner));
        world.disk.create_dir(Path::new("blobs")).expect("a directory");
        world.disk.create_dir(path.parent().expect("a directory")).expect("a directory");
        let file = world.disk.open(&path, OpenMode::Create).expect("a new file");
        file.write_at(&stored, 0).expect("room");
        file.sync().expect("a disk");
    }
    let Ok(engine) = world.open() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let Ok(mut writer) = engine.resume_upload(&record.repository, &id).await else { return };
        let offset = writer.offset();
        writer.write(Bytes::from_static(MORE)).await.expect("a session that opens takes bytes");
        // Its bytes are the front of the file, then the tail. Where the hash in the record is another's, the digest cannot fit.
        let front = stored.get(..record.file_bytes as usize).unwrap_or(&stored);
        let whole = [front, &record.tail, MORE].concat();
        let digest = digest_of(Algorithm::Sha256, &whole);
        let mut batch = strata_engine::meta::Batch::new(engine.now());
        batch.link_blob(&record.repository, &digest);
        match writer.finish(&digest, batch).await {
            Ok(blob) => assert_eq!((blob.size, whole.len() as u64), (offset + MORE.len() as u64, blob.size)),
            Err(
                EngineError::DigestMismatch { .. } | EngineError::Corrupt { .. } | EngineError::Io { .. },
            ) => {}
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(engine.health(), Health::Ready, "a damaged session is no reason to stop");
}
