//! The checker: silent on what the verbs wrote, and loud on any row removed, garbled or out of place.

use super::*;
use crate::clock::UnixMillis;
use crate::entropy::SeededEntropy;
use crate::meta::{
    Batch, BlobRecord, Damage, Edge, EdgeRole, GcItem, HashState, IngestRecord, LeaseId, ManifestPut,
    MemoryStore, MetaStore, PinRecord, Placement, Quarantine, TombstoneItem, UploadRecord, commit, digest_of,
    prepare,
};
use strata_types::{Algorithm, Digest, RepositoryName, Tag, UploadId};

fn digest(text: &str) -> Digest {
    digest_of(Algorithm::Sha256, text.as_bytes())
}

fn put(
    repository: &RepositoryName,
    bytes: &'static str,
    edges: &[(EdgeRole, Digest)],
    tags: &[&str],
) -> ManifestPut {
    ManifestPut {
        repository: repository.clone(),
        digest: digest(bytes),
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        bytes: Bytes::from_static(bytes.as_bytes()),
        edges: edges.iter().map(|(role, digest)| Edge { role: *role, digest: *digest }).collect(),
        required_blobs: vec![],
        required_manifests: vec![],
        subject: None,
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        attributes: Bytes::new(),
        seen: vec![],
    }
}

/// A store with at least one row of every table.
fn store() -> MemoryStore {
    let store = MemoryStore::new().unwrap();
    prepare(&store, &SeededEntropy::new(1), UnixMillis(1)).unwrap();
    let apply = |fill: &dyn Fn(&mut Batch, &View)| {
        let mut batch = Batch::new(UnixMillis(5));
        fill(&mut batch, &View::new(store.view().unwrap()));
        commit(&store, batch).unwrap();
    };
    let repository = RepositoryName::parse("a/b").unwrap();
    let placements = [
        ("config", Placement::Segment { segment: 1, offset: 0, length: 100 }),
        ("layer", Placement::Segment { segment: 1, offset: 100, length: 100 }),
        ("large", Placement::File { generation: 4 }),
    ];
    for (text, placement) in placements {
        apply(&|batch, _| {
            let record = BlobRecord { size: 9, placement, checksum: 1, created_at: UnixMillis(5) };
            batch.put_blob(&digest(text), &record);
            batch.link_blob(&repository, &digest(text));
        });
    }
    let image = [
        (EdgeRole::Config, digest("config")),
        (EdgeRole::Layer, digest("layer")),
        (EdgeRole::Layer, digest("large")),
    ];
    apply(&|batch, view| batch.put_manifest(view, &put(&repository, "image", &image, &["latest"])).unwrap());
    let index = [(EdgeRole::Child, digest("image"))];
    apply(&|batch, view| {
        batch.put_manifest(view, &put(&repository, "index", &index, &["latest", "v1"])).unwrap();
    });
    let mut signature = put(&repository, "signature", &[(EdgeRole::Config, digest("config"))], &[]);
    signature.subject = Some((digest("image"), Bytes::from_static(b"{}")));
    apply(&|batch, view| batch.put_manifest(view, &signature).unwrap());
    apply(&|batch, view| assert!(batch.delete_tag(view, &repository, &Tag::parse("v1").unwrap()).unwrap()));
    apply(&|batch, _| {
        batch.put_upload(&UploadId::from_bytes([3; 16]), &upload(&repository));
        let ingest =
            IngestRecord { started_at: UnixMillis(5), total: 0, expected: None, reference: "layer".into() };
        let session = UploadRecord { generation: None, file_bytes: 0, offset: 4, ..upload(&repository) };
        batch.put_ingest(&UploadId::from_name([3; 16]), &ingest, &session);
        let labels = [("made.by".to_owned(), "hand".to_owned())].into();
        let pin = PinRecord { created_at: UnixMillis(5), updated_at: UnixMillis(6), labels };
        batch.pin_blob(&repository, &digest("config"), &pin);
        batch.put_lease(&digest("config"), LeaseId([1; 16]), UnixMillis(9));
        batch.put_tombstone(TombstoneItem::File { generation: 2 }, 7);
        batch.put_tombstone(TombstoneItem::Frame { segment: 1, offset: 900 }, 7);
        batch.queue_gc(&GcItem::Blob { digest: digest("config") });
    });
    store
}

fn upload(repository: &RepositoryName) -> UploadRecord {
    UploadRecord {
        repository: repository.clone(),
        algorithm: Algorithm::Sha256,
        offset: 12,
        hash: HashState { form: 1, bytes: Bytes::from_static(&[0; 104]) },
        checksum: Bytes::new(),
        generation: Some(7),
        file_bytes: 8,
        tail: Bytes::from_static(b"tail"),
        created_at: UnixMillis(5),
        expires_at: UnixMillis(9),
    }
}

fn findings(store: &MemoryStore) -> (Vec<Finding>, Summary) {
    let mut found = Vec::new();
    let summary = check(&View::new(store.view().unwrap()), &mut |finding| found.push(finding)).unwrap();
    assert_eq!(summary.errors + summary.notes, found.len() as u64);
    (found, summary)
}

fn rows(store: &MemoryStore) -> Vec<(Bytes, Bytes)> {
    store.view().unwrap().scan(b"", None, usize::MAX).unwrap()
}

#[test]
fn what_the_verbs_wrote_is_clean() {
    let store = store();
    let (found, summary) = findings(&store);
    assert_eq!(found, []);
    assert_eq!(summary.rows, rows(&store).len() as u64);
    let counts = (summary.repositories, summary.manifests, summary.tags, summary.links, summary.blobs);
    assert_eq!(counts, (1, 3, 1, 3, 3));
    let counts = (summary.blob_bytes, summary.uploads, summary.leases, summary.tombstones, summary.events);
    assert_eq!(counts, (27, 2, 1, 2, 11));
    assert_eq!(summary.pins, 1);
    assert!(summary.gc_entries >= 4);
    assert_eq!(findings(&MemoryStore::new().unwrap()), (vec![], Summary::default()));
}

#[test]
fn every_table_is_in_the_test() {
    let mut tables: Vec<u8> = rows(&store()).iter().map(|(key, _)| key[0]).collect();
    tables.dedup();
    // A blob in quarantine is an error by itself; it has a test of its own.
    tables.extend([table::CURSOR, table::JOB, table::SETTING, table::QUARANTINE]);
    tables.sort_unstable();
    assert_eq!(tables, table::ALL);
}

#[test]
fn every_row_that_is_removed_is_missed() {
    let pristine = store();
    for (bytes, value) in rows(&pristine) {
        let key = Key::decode(&bytes).unwrap();
        let told = match &key {
            // Rows that come and go by themselves.
            Key::Gc { .. }
            | Key::GcSince { .. }
            | Key::Lease { .. }
            | Key::Tombstone { .. }
            // The link is held by a manifest too.
            | Key::Pin { .. }
            | Key::Trash { .. } => false,
            // An older move of a tag: history may be trimmed.
            Key::TagMove { repository, tag, .. } => {
                let last =
                    pristine.view().unwrap().last(&crate::meta::key::tag_moves(repository, tag)).unwrap();
                last.is_some_and(|(last, _)| last == bytes)
            }
            _ => true,
        };
        pristine.corrupt(bytes.clone(), None);
        let (found, _) = findings(&pristine);
        let is_told = found.iter().any(|finding| finding.severity() == Severity::Error);
        assert_eq!(is_told, told, "{key:?}: {found:?}");
        pristine.corrupt(bytes, Some(value));
    }
    assert_eq!(findings(&pristine).0, []);
}

#[test]
fn every_row_that_is_garbled_is_told() {
    let store = store();
    for (bytes, value) in rows(&store) {
        for garbled in
            [Bytes::new(), Bytes::from_static(b"\x09"), [&value, b"\x00".as_slice()].concat().into()]
        {
            store.corrupt(bytes.clone(), Some(garbled));
            let (found, summary) = findings(&store);
            let opaque = bytes[0] == table::REFERRER && summary.errors == 0;
            assert!(opaque || summary.errors > 0, "{bytes:?}: {found:?}");
        }
        store.corrupt(bytes, Some(value));
    }
}

#[test]
fn rows_out_of_place_are_told() {
    let store = store();
    let told = |key: &Key, value: Bytes| {
        store.corrupt(key.encode(), Some(value));
        let (found, _) = findings(&store);
        store.corrupt(key.encode(), None);
        found.into_iter().map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    let repository = RepositoryName::parse("a/b").unwrap();
    let stray = digest("stray");
    let presence = Bytes::from_static(b"\x01");
    let index = Key::ManifestTag {
        repository: repository.clone(),
        digest: stray,
        tag: Tag::parse("latest").unwrap(),
    };
    assert_eq!(told(&index, presence.clone()).len(), 1);
    let link = Key::BlobRepository { digest: stray, repository: repository.clone() };
    assert_eq!(told(&link, presence.clone()).len(), 1);
    let manifest = Key::ManifestRepository { digest: stray, repository };
    assert!(told(&manifest, presence)[0].contains("the manifest in the repository is missing"));
    let bytes = told(&Key::ManifestBytes { digest: stray }, Bytes::from_static(b"\x01other"));
    assert!(bytes[0].contains(&digest("other").to_string()), "{bytes:?}");
    let named = Key::Tombstone { item: TombstoneItem::File { generation: 4 } };
    let record = crate::meta::TombstoneRecord { at: UnixMillis(1), length: 9 };
    assert!(told(&named, record.encode())[0].contains("still names the bytes"));
    let overlap = crate::meta::FrameRecord { digest: digest("config"), length: 100 };
    assert_eq!(told(&Key::Frame { segment: 1, offset: 50 }, overlap.encode()).len(), 3);
    store.corrupt(Bytes::from_static(b"?"), Some(Bytes::new()));
    assert!(matches!(findings(&store).0[0].problem, Problem::Undecodable { .. }));
}

#[test]
fn what_a_client_may_do_is_only_noted() {
    let store = store();
    let repository = RepositoryName::parse("a/b").unwrap();
    let mut batch = Batch::new(UnixMillis(6));
    batch.unlink_blob(&repository, &digest("large"));
    commit(&store, batch).unwrap();
    let mut batch = Batch::new(UnixMillis(6));
    let view = View::new(store.view().unwrap());
    assert!(batch.delete_manifest(&view, &repository, &digest("image")).unwrap());
    commit(&store, batch).unwrap();
    let (found, summary) = findings(&store);
    assert_eq!((summary.errors, summary.notes), (0, 1), "{found:?}");
    assert_eq!(found[0].problem, Problem::Dangling { digest: digest("image") });
    assert!(found[0].to_string().contains("not in the repository"));
}

/// The findings once the row is gone that leads the sweeper to an item.
fn without_entry(store: &MemoryStore, item: &GcItem) -> Vec<String> {
    let entries: Vec<_> = rows(store)
        .into_iter()
        .filter(
            |(key, _)| matches!(Key::decode(key).unwrap(), Key::Gc { item: queued, .. } if queued == *item),
        )
        .collect();
    assert!(!entries.is_empty(), "{item:?} is not queued");
    assert_eq!(findings(store).0, []);
    for (key, _) in &entries {
        store.corrupt(key.clone(), None);
    }
    let found = findings(store).0.into_iter().map(|finding| finding.to_string()).collect();
    for (key, value) in entries {
        store.corrupt(key, Some(value));
    }
    found
}

#[test]
fn garbage_that_nothing_leads_to_is_told() {
    let store = store();
    let repository = RepositoryName::parse("a/b").unwrap();
    let apply = |fill: &dyn Fn(&mut Batch, &View)| {
        let mut batch = Batch::new(UnixMillis(6));
        fill(&mut batch, &View::new(store.view().unwrap()));
        commit(&store, batch).unwrap();
    };
    let link = GcItem::Link { repository: repository.clone(), digest: digest("large") };
    let image = GcItem::Manifest { repository: repository.clone(), digest: digest("image") };
    let index = GcItem::Manifest { repository: repository.clone(), digest: digest("index") };
    let bytes = GcItem::ManifestBytes { digest: digest("image") };
    let blob = GcItem::Blob { digest: digest("large") };
    apply(&|batch, view| {
        assert!(batch.delete_tag(view, &repository, &Tag::parse("latest").unwrap()).unwrap());
    });
    assert_eq!(without_entry(&store, &index).len(), 1);
    apply(&|batch, view| assert!(batch.delete_manifest(view, &repository, &digest("index")).unwrap()));
    assert_eq!(without_entry(&store, &image).len(), 1);
    apply(&|batch, view| assert!(batch.delete_manifest(view, &repository, &digest("image")).unwrap()));
    assert_eq!(without_entry(&store, &bytes).len(), 1);
    let found = without_entry(&store, &link);
    assert!(found.len() == 1 && found[0].contains("garbage collection does not know"), "{found:?}");
    // A signature is kept by its subject only.
    let signature = GcItem::Manifest { repository: repository.clone(), digest: digest("signature") };
    assert_eq!(without_entry(&store, &signature).len(), 1);
    apply(&|batch, _| batch.unlink_blob(&repository, &digest("large")));
    assert_eq!(without_entry(&store, &blob).len(), 1);
}

#[test]
fn a_deletion_is_told_by_its_event() {
    let store = store();
    let (row, value) = rows(&store).into_iter().find(|(key, _)| key[0] == table::TRASH).unwrap();
    store.corrupt(row.clone(), None);
    for number in [1, 999] {
        let elsewhere = crate::meta::key::trash(number);
        store.corrupt(elsewhere.clone(), Some(value.clone()));
        let (found, summary) = findings(&store);
        assert_eq!((summary.errors, summary.deletions), (1, 1), "{found:?}");
        assert!(found[0].to_string().contains("the event"), "{found:?}");
        store.corrupt(elsewhere, None);
    }
}

#[test]
fn a_child_may_be_a_blob() {
    let store = store();
    let repository = RepositoryName::parse("a/b").unwrap();
    let mut batch = Batch::new(UnixMillis(6));
    let view = View::new(store.view().unwrap());
    let cache = [(EdgeRole::Child, digest("layer"))];
    batch.put_manifest(&view, &put(&repository, "cache", &cache, &[])).unwrap();
    commit(&store, batch).unwrap();
    assert_eq!(findings(&store).0, []);
    // And is let go of like any other.
    for text in ["index", "image", "cache"] {
        let mut batch = Batch::new(UnixMillis(7));
        let view = View::new(store.view().unwrap());
        assert!(batch.delete_manifest(&view, &repository, &digest(text)).unwrap());
        commit(&store, batch).unwrap();
    }
    let link = GcItem::Link { repository, digest: digest("layer") };
    assert_eq!(without_entry(&store, &link).len(), 1);
}

/// A view in which one key cannot be read.
#[derive(Debug)]
struct Damaged {
    view: std::sync::Arc<dyn crate::meta::MetaView>,
    key: Bytes,
}

impl crate::meta::MetaView for Damaged {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if key == self.key { Err(EngineError::corrupt("a bad block")) } else { self.view.get(key) }
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let rows = self.view.scan(prefix, after, limit)?;
        let damaged = rows.iter().any(|(key, _)| *key == self.key);
        if damaged { Err(EngineError::corrupt("a bad block")) } else { Ok(rows) }
    }

    fn last(&self, prefix: &[u8]) -> Result<Option<(Bytes, Bytes)>, EngineError> {
        self.view.last(prefix)
    }
}

#[test]
fn a_bad_block_does_not_stop_the_check() {
    let store = store();
    for (key, _) in rows(&store) {
        let view = View::new(std::sync::Arc::new(Damaged { view: store.view().unwrap(), key: key.clone() }));
        let mut unreadable = 0;
        let outcome = check(&view, &mut |finding| {
            unreadable += usize::from(matches!(finding.problem, Problem::Unreadable { .. }));
        });
        match outcome {
            Ok(_) => assert!(unreadable > 0, "{key:?}"),
            // Where not even the store's own facts can be read, there is nothing to check.
            Err(error) => {
                assert!(key[0] == table::META && matches!(error, EngineError::Corrupt { .. }), "{key:?}");
            }
        }
    }
}

#[test]
fn a_blob_in_quarantine_is_a_finding_of_its_own() {
    let store = store();
    let view = || View::new(store.view().unwrap());
    let mut batch = Batch::new(UnixMillis(6));
    let record = view().blob(&digest("large")).unwrap().unwrap();
    batch.quarantine_blob(&digest("large"), &record, Damage::Content);
    commit(&store, batch).unwrap();
    let (found, summary) = findings(&store);
    assert_eq!((found.len(), summary.errors, summary.quarantined), (1, 1, 1), "{found:?}");
    let quarantine = Quarantine { at: UnixMillis(6), damage: Damage::Content };
    assert_eq!(found[0].problem, Problem::Quarantined { quarantine });
    // Both rows say it, or neither.
    let row = Key::Quarantine { digest: digest("large") }.encode();
    let value = view().raw(&row).unwrap();
    store.corrupt(row.clone(), None);
    assert_eq!(findings(&store).0.len(), 2);
    store.corrupt(row, value);
    let stored = view().stored_blob(&digest("large")).unwrap().unwrap();
    store.corrupt(Key::Blob { digest: digest("large") }.encode(), Some(stored.record.encode()));
    let (found, _) = findings(&store);
    assert!(found.len() == 1 && found[0].to_string().contains("which is served"), "{found:?}");
}
