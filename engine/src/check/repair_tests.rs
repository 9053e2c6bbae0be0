//! Each kind of damage that can be mended is made, mended, told, and mended only once; what cannot be is left as it is.

use super::tests::{Stored, stored};
use super::*;
use crate::UnixMillis;
use crate::disk::OpenMode;
use crate::disk::faulty::{Fault, FaultyDisk, Operation};
use crate::meta::key::Key;
use crate::meta::record::Record;
use crate::meta::{Batch, Edge, EdgeRole, GcItem, ManifestPut, TombstoneItem, TombstoneRecord};
use crate::meta::{IngestRecord, PinRecord, UploadRecord};
use ::bytes::Bytes;
use std::sync::Arc;
use strata_types::{Algorithm, RepositoryName, Tag};

fn repaired(stored: &Stored) -> CheckReport {
    repair_with(
        &stored.world.disk,
        &*stored.world.meta,
        UnixMillis(1_800_000_100_000),
        &CheckOptions::default(),
    )
    .unwrap()
}

/// Mends once with effect, and a second time without.
fn mended(stored: &Stored) -> CheckReport {
    let first = repaired(stored);
    assert!(!first.repaired.is_empty(), "{:?}", first.findings);
    let second = repaired(stored);
    assert_eq!(second.repaired, [], "a second repair has nothing to do");
    assert_eq!((first.errors, first.notes), (second.errors, second.notes));
    first
}

fn rows(stored: &Stored) -> Vec<(Bytes, Bytes)> {
    stored.world.meta.view().unwrap().scan(b"", None, usize::MAX).unwrap()
}

/// An image with a subject and an index that holds it, all in one repository.
fn with_manifests() -> Stored {
    let stored = stored();
    let name = crate::engine::tests::world::repository();
    let put = |text: &'static str, role, held: Digest, tag: &str, subject: Option<Digest>| {
        let digest = meta::digest_of(Algorithm::Sha256, text.as_bytes());
        let put = ManifestPut {
            repository: name.clone(),
            digest,
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            bytes: Bytes::from_static(text.as_bytes()),
            edges: vec![Edge { role, digest: held }],
            required_blobs: vec![],
            required_manifests: vec![],
            subject: subject.map(|subject| (subject, Bytes::from_static(b"{}"))),
            tags: vec![Tag::parse(tag).unwrap()],
            attributes: Bytes::new(),
            seen: vec![],
        };
        let mut batch = Batch::new(UnixMillis(1_800_000_000_001));
        batch.put_manifest(&View::new(stored.world.meta.view().unwrap()), &put).unwrap();
        meta::commit(&*stored.world.meta, batch).unwrap();
        digest
    };
    let image = put("image", EdgeRole::Layer, stored.large, "image", None);
    put("index", EdgeRole::Child, image, "index", None);
    put("signature", EdgeRole::Config, stored.small, "signature", Some(image));
    stored
}

#[test]
fn a_sound_store_needs_no_repair() {
    let stored = with_manifests();
    let report = repaired(&stored);
    assert_eq!((report.repaired, report.findings), (vec![], vec![]));
}

#[test]
fn rows_that_follow_from_others_come_back() {
    let stored = with_manifests();
    let mut kinds = std::collections::BTreeSet::new();
    for (bytes, value) in rows(&stored) {
        let key = Key::decode(&bytes).unwrap();
        let follows = matches!(
            key,
            Key::BlobRepository { .. }
                | Key::ManifestRepository { .. }
                | Key::ManifestTag { .. }
                | Key::BackEdge { .. }
                | Key::Repository { .. }
                | Key::Frame { .. }
        ) || matches!(&key, Key::Generation { .. } if value.len() > 20);
        if !follows {
            continue;
        }
        kinds.insert(bytes[0]);
        stored.world.meta.memory.corrupt(bytes.clone(), None);
        let report = mended(&stored);
        assert_eq!(report.findings, [], "{key}");
        let back = stored.world.meta.view().unwrap().get(&bytes).unwrap();
        let same = back.as_ref() == Some(&value) || matches!(key, Key::Repository { .. });
        assert!(same && back.is_some(), "{key}: {back:?} instead of {value:?}");
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
}

#[test]
fn rows_that_follow_from_nothing_go() {
    let stored = with_manifests();
    let stray = meta::digest_of(Algorithm::Sha256, b"stray");
    let other = RepositoryName::parse("not/there").unwrap();
    let presence = Bytes::from_static(b"\x01");
    let strays = [
        (Key::BlobRepository { digest: stray, repository: other.clone() }, presence.clone()),
        (Key::ManifestRepository { digest: stray, repository: other.clone() }, presence.clone()),
        (
            Key::ManifestTag { repository: other.clone(), digest: stray, tag: Tag::parse("x").unwrap() },
            presence.clone(),
        ),
        (Key::Quarantine { digest: stored.large }, presence),
        (
            Key::BackEdge { repository: other, child: stored.large, parent: stray },
            Bytes::from_static(b"\x01\x04"),
        ),
        (
            Key::Tombstone { item: TombstoneItem::File { generation: generation(&stored) } },
            TombstoneRecord { at: UnixMillis(1), length: 9 }.encode(),
        ),
    ];
    let before = rows(&stored);
    for (key, value) in strays {
        stored.world.meta.memory.corrupt(key.encode(), Some(value));
        let report = mended(&stored);
        assert_eq!(report.findings, [], "{key}");
        assert_eq!(report.repaired.len(), 1, "{key}: {:?}", report.repaired);
        assert_eq!(rows(&stored), before, "{key}");
    }
}

/// The link of what is pinned comes back with the pin; without the blob there is nothing to keep, and a session without its name, or a
/// name without its session, is of no use.
#[test]
fn what_clients_keep_as_content_is_mended() {
    let stored = stored();
    let name = crate::engine::tests::world::repository();
    let at = UnixMillis(1_800_000_000_001);
    let id = strata_types::UploadId::from_name([4; 16]);
    let session = View::new(stored.world.meta.view().unwrap()).uploads(None, 1).unwrap().pop().unwrap().1;
    let session = UploadRecord { generation: None, file_bytes: 0, offset: 2, tail: "ab".into(), ..session };
    let ingest = IngestRecord { started_at: at, total: 0, expected: None, reference: "layer".into() };
    let mut batch = Batch::new(at);
    batch.pin_blob(&name, &stored.small, &PinRecord { created_at: at, updated_at: at, labels: [].into() });
    batch.put_ingest(&id, &ingest, &session);
    meta::commit(&*stored.world.meta, batch).unwrap();
    assert_eq!(repaired(&stored).findings, []);
    let before = rows(&stored);
    let remove = |key: Key| {
        let value = stored.world.meta.view().unwrap().get(&key.encode()).unwrap().unwrap();
        stored.world.meta.memory.corrupt(key.encode(), None);
        (key.encode(), value)
    };
    // The link is that of the moment of the repair, the rest as it was.
    let (link, _) = remove(Key::Link { repository: name.clone(), digest: stored.small });
    assert_eq!(mended(&stored).findings, []);
    let names = |rows: Vec<(Bytes, Bytes)>| -> Vec<Bytes> { rows.into_iter().map(|(key, _)| key).collect() };
    assert_eq!(names(rows(&stored)), names(before.clone()));
    assert!(names(rows(&stored)).contains(&link));
    for key in [Key::Upload { id }, Key::Ingest { repository: name.clone(), id }] {
        let (lost, value) = remove(key);
        assert_eq!(mended(&stored).findings, []);
        let left = names(rows(&stored));
        assert_eq!(left.len(), before.len() - 2, "neither of the two is left");
        for key in [Key::Upload { id }, Key::Ingest { repository: name.clone(), id }] {
            let other = before.iter().find(|(row, _)| *row == key.encode()).unwrap();
            stored.world.meta.memory.corrupt(other.0.clone(), Some(other.1.clone()));
        }
        assert!(before.contains(&(lost, value)));
    }
    let nowhere = meta::digest_of(Algorithm::Sha256, b"nowhere");
    let pin = Key::Pin { repository: name, digest: nowhere }.encode();
    let record = PinRecord { created_at: at, updated_at: at, labels: [].into() };
    stored.world.meta.memory.corrupt(pin.clone(), Some(record.encode()));
    assert_eq!(mended(&stored).findings, []);
    assert!(!names(rows(&stored)).contains(&pin));
}

fn generation(stored: &Stored) -> u64 {
    let name = stored.large_file.file_name().unwrap().to_str().unwrap();
    u64::from_str_radix(name, 16).unwrap()
}

#[test]
fn garbage_that_nothing_led_to_is_queued() {
    let stored = stored();
    // Links that no manifest holds, as the three pushes left them.
    let queue: Vec<_> = rows(&stored).into_iter().filter(|(key, _)| key[0] == b'q').collect();
    assert!(!queue.is_empty());
    for (key, _) in &queue {
        stored.world.meta.memory.corrupt(key.clone(), None);
    }
    let report = mended(&stored);
    assert_eq!(report.findings, []);
    let view = View::new(stored.world.meta.view().unwrap());
    let name = crate::engine::tests::world::repository();
    for digest in [stored.small, stored.large] {
        let link = view.link(&name, &digest).unwrap().unwrap();
        let item = GcItem::Link { repository: name.clone(), digest };
        let queued = view.gc_queue(None, 100).unwrap();
        assert!(queued.contains(&(link.created_at, item)), "at the time of its row");
    }
}

#[test]
fn what_is_lost_is_left_as_it_is() {
    let stored = with_manifests();
    for (bytes, value) in rows(&stored) {
        let key = Key::decode(&bytes).unwrap();
        // The truth from which the others follow.
        if !matches!(key, Key::Link { .. } | Key::Edges { .. } | Key::ManifestBytes { .. } | Key::Blob { .. })
        {
            continue;
        }
        stored.world.meta.memory.corrupt(bytes.clone(), None);
        let report = repaired(&stored);
        assert!(!report.is_sound() || matches!(key, Key::Link { .. }), "{key}");
        // Manifests still protect what they held.
        let back_edges = |stored: &Stored| rows(stored).iter().filter(|(key, _)| key[0] == b'E').count();
        assert_eq!(back_edges(&stored), 3, "{key}");
        stored.world.meta.memory.corrupt(bytes, Some(value));
        repaired(&stored);
    }
}

#[test]
fn damaged_blobs_go_into_quarantine_and_unnamed_files_go() {
    let stored = stored();
    let flip: fn(&mut Vec<u8>) = |bytes| bytes[200] ^= 1;
    assert!(stored.world.disk.damage(&stored.large_file, flip));
    assert!(stored.world.disk.damage(&crate::segment::path(0), flip));
    for path in ["blobs/00000000/0000000000000ccc", "segments/00000009.seg", "blobs/00000000/x"] {
        stored.world.disk.open(Path::new(path), OpenMode::Create).unwrap();
    }
    let report = mended(&stored);
    assert_eq!(report.repaired.len(), 4, "{:?}", report.repaired);
    // What is in quarantine stays a finding; a stranger's file stays.
    assert_eq!(
        (report.errors, report.metadata.quarantined, report.notes),
        (2, 2, 1),
        "{:?}",
        report.findings
    );
    let view = View::new(stored.world.meta.view().unwrap());
    for digest in [stored.small, stored.large] {
        assert!(view.blob(&digest).unwrap().is_none());
        let quarantine = view.stored_blob(&digest).unwrap().unwrap().quarantine.unwrap();
        assert_eq!(quarantine.damage, Damage::Content);
    }
    let files = stored.world.disk.files();
    assert!(files.contains(&stored.large_file), "damaged bytes are not removed");
    assert!(!files.iter().any(|path| path.ends_with("0000000000000ccc") || path.ends_with("00000009.seg")));
}

#[test]
fn what_cannot_be_read_is_not_condemned() {
    let stored = stored();
    let faults = FaultyDisk::new(Arc::new(stored.world.disk.clone()));
    faults.order(Operation::Read, Fault::Eio, 0, 1000);
    let report =
        repair_with(&faults, &*stored.world.meta, UnixMillis(1_800_000_100_000), &CheckOptions::default())
            .unwrap();
    assert_eq!((report.repaired.len(), report.errors), (0, 3), "{:?}", report.findings);
    faults.heal();
    assert_eq!(repaired(&stored).findings, []);
}
