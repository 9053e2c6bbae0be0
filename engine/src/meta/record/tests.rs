//! Records: there and back, hostile bytes, and the committed fixture that pins every encoding.

use super::*;
use crate::clock::UnixMillis;
use crate::meta::arbitrary;
use crate::meta::key::{Key, table};
use bytes::Bytes;
use proptest::prelude::*;
use strata_types::{Algorithm, Digest, RepositoryName, Tag, UploadId};

fn edges() -> impl Strategy<Value = Edges> {
    let role = proptest::sample::select(EdgeRole::ALL.to_vec());
    let edge = (role, arbitrary::digest()).prop_map(|(role, digest)| Edge { role, digest });
    proptest::collection::vec(edge, 0..12).prop_map(Edges::new)
}

fn upload() -> impl Strategy<Value = UploadRecord> {
    let algorithm = proptest::sample::select(vec![Algorithm::Sha256, Algorithm::Sha512]);
    let times = (arbitrary::time(), arbitrary::time());
    let numbers = (any::<u64>(), any::<u16>(), any::<Option<u64>>(), any::<u64>());
    let texts = (arbitrary::bytes(300), arbitrary::bytes(50), arbitrary::bytes(100));
    (arbitrary::repository(), algorithm, times, numbers, texts).prop_map(
        |(
            repository,
            algorithm,
            (created_at, expires_at),
            (offset, form, generation, file_bytes),
            (hash, checksum, tail),
        )| {
            let hash = HashState { form, bytes: hash };
            UploadRecord {
                repository,
                algorithm,
                offset,
                hash,
                checksum,
                generation,
                file_bytes,
                tail,
                created_at,
                expires_at,
            }
        },
    )
}

fn pin() -> impl Strategy<Value = PinRecord> {
    let labels = proptest::collection::btree_map("[a-z./é]{0,9}", "[ -~]{0,9}", 0..5);
    (arbitrary::time(), arbitrary::time(), labels).prop_map(|(created_at, updated_at, labels)| PinRecord {
        created_at,
        updated_at,
        labels,
    })
}

fn ingest() -> impl Strategy<Value = IngestRecord> {
    let expected = proptest::option::of(arbitrary::digest());
    (arbitrary::time(), any::<u64>(), expected, "[a-z/:-]{0,20}").prop_map(
        |(started_at, total, expected, reference)| IngestRecord { started_at, total, expected, reference },
    )
}

fn trash() -> impl Strategy<Value = TrashRecord> {
    let target = proptest::sample::select(vec![Target::Link, Target::Manifest]);
    let there = proptest::collection::btree_map(arbitrary::digest(), target, 0..5);
    let tags = proptest::collection::vec(arbitrary::tag(), 0..4);
    let texts = (arbitrary::bytes(40), proptest::option::of(arbitrary::bytes(40)));
    let manifest = (any::<u64>(), arbitrary::time(), edges(), there, texts, tags).prop_map(
        |(size, pushed_at, edges, there, (attributes, descriptor), tags)| {
            Trashed::Manifest(TrashedManifest {
                media_type: "a/b".into(),
                size,
                pushed_at,
                attributes,
                edges,
                there: there.into_iter().collect(),
                descriptor,
                tags,
            })
        },
    );
    let what = prop_oneof![manifest, arbitrary::tag().prop_map(Trashed::Tag)];
    (arbitrary::time(), arbitrary::repository(), arbitrary::digest(), what)
        .prop_map(|(at, repository, digest, what)| TrashRecord { at, repository, digest, what })
}

fn event() -> impl Strategy<Value = Event> {
    let kind = proptest::sample::select(EventKind::ALL.to_vec());
    let repository = proptest::option::of(arbitrary::repository());
    let digest = proptest::option::of(arbitrary::digest());
    let tag = proptest::option::of(arbitrary::tag());
    (arbitrary::time(), kind, repository, digest, tag, arbitrary::bytes(40)).prop_map(
        |(at, kind, repository, digest, tag, detail)| Event { at, kind, repository, digest, tag, detail },
    )
}

/// A round under way behind one that came to its end.
fn scrub(number: u64, at: UnixMillis) -> ScrubRecord {
    let tally =
        ScrubTally { rows: 1, blobs: 2, bytes: 3, damaged: 4, unreadable: 5, broken: 6, quarantined: 7 };
    let last = ScrubRound { number: number.wrapping_sub(1), started_at: at, finished_at: at, tally };
    let position = Some(Bytes::from_static(b"b\x01"));
    ScrubRecord { number, started_at: at, position, tally, last: Some(last) }
}

fn comes_back<R: Record + PartialEq + std::fmt::Debug>(record: &R) -> Result<(), TestCaseError> {
    let value = record.encode();
    prop_assert_eq!(&R::decode(value.clone())?, record);
    Ok(())
}

/// Whatever the bytes are: the record that is read, if any, is what the bytes say.
fn survives<R: Record>(value: &Bytes) -> Result<(), TestCaseError> {
    match R::decode(value.clone()) {
        Ok(record) => prop_assert_eq!(&record.encode(), value, "{}", R::NAME),
        Err(error) => prop_assert!(matches!(error, EngineError::Corrupt { .. }), "{}", R::NAME),
    }
    Ok(())
}

fn all_survive(value: &Bytes) -> Result<(), TestCaseError> {
    survives::<BackEdge>(value)?;
    survives::<BlobRecord>(value)?;
    survives::<Edges>(value)?;
    survives::<Event>(value)?;
    survives::<FormatRecord>(value)?;
    survives::<FrameRecord>(value)?;
    survives::<GenerationOwner>(value)?;
    survives::<HistoryRecord>(value)?;
    survives::<LeaseRecord>(value)?;
    survives::<LinkRecord>(value)?;
    survives::<ManifestBytes>(value)?;
    survives::<ManifestRecord>(value)?;
    survives::<Presence>(value)?;
    survives::<Referrer>(value)?;
    survives::<RepositoryRecord>(value)?;
    survives::<SettingRecord>(value)?;
    survives::<SettledRecord>(value)?;
    survives::<LogBeginsRecord>(value)?;
    survives::<StoreIdRecord>(value)?;
    survives::<TagRecord>(value)?;
    survives::<TombstoneRecord>(value)?;
    survives::<TrashRecord>(value)?;
    survives::<UploadRecord>(value)?;
    survives::<PinRecord>(value)?;
    survives::<IngestRecord>(value)?;
    survives::<HoldersRecord>(value)?;
    survives::<Usage>(value)
}

proptest! {
    #[test]
    fn records_come_back(edges in edges(), upload in upload(), event in event(), trash in trash(), at in arbitrary::time(),
                         pin in pin(), ingest in ingest(), digest in arbitrary::digest(), number in any::<u64>(), bytes in arbitrary::bytes(100)) {
        comes_back(&edges)?;
        comes_back(&upload)?;
        comes_back(&event)?;
        comes_back(&trash)?;
        comes_back(&pin)?;
        comes_back(&ingest)?;
        comes_back(&RepositoryRecord { created_at: at })?;
        comes_back(&LinkRecord { created_at: at })?;
        comes_back(&TagRecord { digest, updated_at: at })?;
        comes_back(&HistoryRecord { target: Some(digest), at })?;
        comes_back(&HistoryRecord { target: None, at })?;
        comes_back(&ManifestBytes(bytes.clone()))?;
        comes_back(&Referrer(bytes.clone()))?;
        comes_back(&SettingRecord(bytes.clone()))?;
        comes_back(&ManifestRecord { media_type: "a/b".into(), size: number, pushed_at: at, attributes: bytes })?;
        let segment = Placement::Segment { segment: number as u32, offset: number, length: 7 };
        for placement in [segment, Placement::File { generation: number }] {
            let record = BlobRecord { size: number, placement, checksum: !number, created_at: at };
            comes_back(&record)?;
            comes_back(&StoredBlob::sound(record))?;
            prop_assert_eq!(StoredBlob::sound(record).encode(), record.encode());
            for damage in Damage::ALL {
                let bad = StoredBlob { record, quarantine: Some(Quarantine { at, damage }) };
                comes_back(&bad)?;
                prop_assert!(BlobRecord::decode(bad.encode()).is_err(), "nobody takes it for a sound one");
            }
        }
        comes_back(&HoldersRecord { repositories: number, bytes: !number })?;
        comes_back(&Usage { repositories: 1, manifests: number, tags: 2, logical_bytes: !number, unique_bytes: 3 })?;
        comes_back(&scrub(number, at))?;
        comes_back(&ScrubRecord::default())?;
        comes_back(&GenerationOwner::Blob(digest))?;
        comes_back(&FrameRecord { digest, length: number as u32 })?;
        comes_back(&TombstoneRecord { at, length: number })?;
        for (child, roles) in edges.held() {
            comes_back(&BackEdge { roles })?;
            for role in EdgeRole::ALL {
                let listed = edges.as_slice().contains(&Edge { role, digest: child });
                prop_assert_eq!(roles.contains(role), listed && role != EdgeRole::Subject);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_record_or_an_error(mut value in proptest::collection::vec(any::<u8>(), 0..120),
                                          upload in upload(), edges in edges(), event in event(), trash in trash(),
                                          pin in pin(), ingest in ingest(), at in any::<proptest::sample::Index>(), flip in 1..=255_u8) {
        all_survive(&value.clone().into())?;
        if let Some(version) = value.first_mut() {
            *version = RECORD_VERSION;
            all_survive(&value.into())?;
        }
        let content = [pin.encode(), ingest.encode()];
        for record in [upload.encode(), edges.encode(), event.encode(), trash.encode()].into_iter().chain(content) {
            let at = at.index(record.len());
            all_survive(&record.slice(..at))?;
            let mut flipped = record.to_vec();
            flipped[at] ^= flip;
            all_survive(&flipped.into())?;
            all_survive(&[record.as_ref(), &[0]].concat().into())?;
        }
    }
}

#[test]
fn a_lying_count_reserves_nothing() {
    let mut value = vec![RECORD_VERSION];
    value.extend(u32::MAX.to_le_bytes());
    assert!(Edges::decode(value.clone().into()).is_err());
    value.extend([0; 100]);
    assert!(Edges::decode(value.into()).is_err());
}

#[test]
fn errors_name_the_record() {
    let message = |value: &'static [u8]| TagRecord::decode(value.into()).unwrap_err().to_string();
    assert_eq!(message(b""), "corrupt data: tag record: too short");
    assert_eq!(message(b"\x09"), "corrupt data: tag record: unknown version 9");
    assert_eq!(message(b"\x01\x07"), "corrupt data: tag record: not a digest");
}

/// One row of the fixture: what it is, its key, its value.
fn row(rows: &mut Vec<(String, Bytes, Bytes)>, key: &Key, value: &impl Record) {
    let name = format!("{key:?}");
    rows.push((name.split([' ', '{']).next().unwrap().to_owned(), key.encode(), value.encode()));
}

/// One row of every table and every variant, with fixed values.
fn fixture() -> Vec<(String, Bytes, Bytes)> {
    let repository = RepositoryName::parse("hy/busybox").unwrap();
    let tag = Tag::parse("v1.2").unwrap();
    let (digest, other) = (Digest::Sha256([0xab; 32]), Digest::Sha512([0xcd; 64]));
    let at = UnixMillis(1_700_000_000_123);
    let id = UploadId::from_bytes([0x42; 16]);
    let presence = Presence;
    let mut rows = Vec::new();
    let to = &mut rows;
    fixture_of_repository(to, &repository, &tag, at);
    row(to, &Key::Meta { name: "format".into() }, &FormatRecord { version: 4 });
    row(to, &Key::Meta { name: "log-begins".into() }, &LogBeginsRecord { number: 0x0506 });
    row(to, &Key::Meta { name: "settled".into() }, &SettledRecord { generation: 0x0102_0304 });
    row(to, &Key::Meta { name: "store-id".into() }, &StoreIdRecord([0x77; 16]));
    row(to, &Key::ManifestBytes { digest }, &ManifestBytes(Bytes::from_static(b"{\"schemaVersion\":2}")));
    row(to, &Key::ManifestRepository { digest, repository: repository.clone() }, &presence);
    row(to, &Key::BlobRepository { digest: other, repository: repository.clone() }, &presence);
    let placement = Placement::Segment { segment: 3, offset: 0x1_0000_0000, length: 4160 };
    let placement_of_frame = placement;
    row(
        to,
        &Key::Blob { digest },
        &BlobRecord { size: 4096, placement, checksum: 0x1122_3344_5566_7788, created_at: at },
    );
    let placement = Placement::File { generation: 0x0203 };
    row(
        to,
        &Key::Blob { digest: other },
        &BlobRecord { size: 1 << 33, placement, checksum: 1, created_at: at },
    );
    fixture_of_quarantine(to, placement_of_frame, at);
    row(to, &Key::Generation { generation: 0x0203 }, &GenerationOwner::Blob(other));
    row(to, &Key::Generation { generation: 0x0204 }, &GenerationOwner::Upload(id));
    row(to, &Key::Frame { segment: 3, offset: 0x1_0000_0000 }, &FrameRecord { digest, length: 4160 });
    let upload = UploadRecord {
        repository: repository.clone(),
        algorithm: Algorithm::Sha512,
        offset: 1_048_580,
        hash: HashState { form: 1, bytes: Bytes::from_static(&[0x11; 208]) },
        checksum: Bytes::from_static(&[0x22; 8]),
        generation: Some(0x0204),
        file_bytes: 1_048_576,
        tail: Bytes::from_static(b"tail"),
        created_at: at,
        expires_at: UnixMillis(1_700_000_600_123),
    };
    row(to, &Key::Upload { id }, &upload);
    let early =
        UploadRecord { generation: None, algorithm: Algorithm::Sha256, file_bytes: 0, offset: 4, ..upload };
    row(to, &Key::Upload { id: UploadId::from_bytes([0x43; 16]) }, &early);
    row(to, &Key::Lease { digest, id: LeaseId([0x55; 16]) }, &LeaseRecord { expires_at: at });
    for item in [
        GcItem::Link { repository: repository.clone(), digest },
        GcItem::Manifest { repository, digest },
        GcItem::Blob { digest: other },
        GcItem::ManifestBytes { digest },
    ] {
        row(to, &Key::Gc { at, item: item.clone() }, &presence);
        if matches!(item, GcItem::Manifest { .. } | GcItem::ManifestBytes { .. }) {
            row(to, &Key::GcSince { item }, &SinceRecord { at });
        }
    }
    let tombstone = TombstoneRecord { at, length: 4160 };
    row(to, &Key::Tombstone { item: TombstoneItem::File { generation: 0x0203 } }, &tombstone);
    row(to, &Key::Tombstone { item: TombstoneItem::Frame { segment: 3, offset: 64 } }, &tombstone);
    row(to, &Key::Tombstone { item: TombstoneItem::Segment { segment: 2 } }, &tombstone);
    fixture_of_registry(to, digest);
    fixture_of_content(to, id, at);
    let name = Bytes::from_static(SCRUB.as_bytes());
    row(to, &Key::Reserved { table: table::JOB, name }, &scrub(3, at));
    rows
}

/// What the service layer keeps, and what a registry uses.
fn fixture_of_registry(to: &mut Vec<(String, Bytes, Bytes)>, digest: Digest) {
    let setting = SettingRecord(Bytes::from_static(b"{\"state\":\"enabled\"}"));
    row(to, &Key::Setting { name: Bytes::from_static(b"account/ada") }, &setting);
    let holders = HoldersRecord { repositories: 2, bytes: 0x0102_0304_0506 };
    for held in [Held::Blob, Held::Manifest] {
        row(to, &Key::Holders { registry: "hy".into(), held, digest }, &holders);
    }
    let usage =
        Usage { repositories: 1, manifests: 2, tags: 3, logical_bytes: 1 << 40, unique_bytes: 1 << 39 };
    row(to, &Key::Usage { registry: "hy".into() }, &usage);
}

/// A pinned blob with and without labels, an ingest of which much is known and one of which nothing is.
fn fixture_of_content(to: &mut Vec<(String, Bytes, Bytes)>, id: UploadId, at: UnixMillis) {
    let named = || RepositoryName::parse("hy/content").unwrap();
    let (digest, other) = (Digest::Sha256([0xab; 32]), Digest::Sha512([0xcd; 64]));
    let labels = [("containerd.io/gc.root", "2026"), ("made.by", "")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let pin = PinRecord { created_at: at, updated_at: UnixMillis(at.0 + 1), labels };
    row(to, &Key::Pin { repository: named(), digest }, &pin);
    let bare = PinRecord { labels: [].into(), ..pin };
    row(to, &Key::Pin { repository: named(), digest: other }, &bare);
    let reference = "default/1/layer-sha256:abab".to_owned();
    let ingest = IngestRecord { started_at: at, total: 1 << 33, expected: Some(digest), reference };
    row(to, &Key::Ingest { repository: named(), id }, &ingest);
    let unknown = IngestRecord { total: 0, expected: None, reference: "x".to_owned(), ..ingest };
    row(to, &Key::Ingest { repository: named(), id: UploadId::from_bytes([0x44; 16]) }, &unknown);
}

/// Each damage, of a file and of a frame.
fn fixture_of_quarantine(
    to: &mut Vec<(String, Bytes, Bytes)>,
    placement_of_frame: Placement,
    at: UnixMillis,
) {
    for (number, damage) in (0x20..).zip(Damage::ALL) {
        let quarantine = Some(Quarantine { at, damage });
        for placement in [Placement::File { generation: 0x0205 }, placement_of_frame] {
            let record = BlobRecord { size: 4096, placement, checksum: 2, created_at: at };
            let at_place = number + 0x10 * u8::from(placement == placement_of_frame);
            let digest = Digest::Sha256([at_place; 32]);
            row(to, &Key::Blob { digest }, &StoredBlob { record, quarantine });
            row(to, &Key::Quarantine { digest }, &Presence);
        }
    }
}

fn fixture_of_repository(
    to: &mut Vec<(String, Bytes, Bytes)>,
    repository: &RepositoryName,
    tag: &Tag,
    at: UnixMillis,
) {
    let (digest, other) = (Digest::Sha256([0xab; 32]), Digest::Sha512([0xcd; 64]));
    let named = || repository.clone();
    row(to, &Key::Repository { repository: named() }, &RepositoryRecord { created_at: at });
    row(to, &Key::Tag { repository: named(), tag: tag.clone() }, &TagRecord { digest, updated_at: at });
    row(to, &Key::ManifestTag { repository: named(), digest, tag: tag.clone() }, &Presence);
    let moved = |event| Key::TagMove { repository: named(), tag: tag.clone(), event };
    row(to, &moved(5), &HistoryRecord { target: Some(digest), at });
    row(to, &moved(6), &HistoryRecord { target: None, at });
    row(to, &Key::Link { repository: named(), digest: other }, &LinkRecord { created_at: at });
    let media_type = "application/vnd.oci.image.manifest.v1+json".to_owned();
    let manifest =
        ManifestRecord { media_type, size: 19, pushed_at: at, attributes: Bytes::from_static(b"\x01\x02") };
    row(to, &Key::Manifest { repository: named(), digest }, &manifest);
    let roles = [EdgeRole::Subject, EdgeRole::Layer, EdgeRole::Config, EdgeRole::Child];
    let edges = Edges::new(roles.map(|role| Edge { role, digest: other }).to_vec());
    row(to, &Key::Edges { repository: named(), digest }, &edges);
    let (_, roles) = edges.held()[0];
    row(to, &Key::BackEdge { repository: named(), child: other, parent: digest }, &BackEdge { roles });
    let referrer = Key::Referrer { repository: named(), subject: other, referrer: digest };
    row(to, &referrer, &Referrer(Bytes::from_static(b"{\"size\":19}")));
    for (number, kind) in (1..).zip(EventKind::ALL).take(8) {
        let digest = (number > 1).then_some(digest);
        let tag = (number > 6).then(|| tag.clone());
        let detail = Bytes::from_static(b"who");
        let event = Event { at, kind, repository: Some(named()), digest, tag, detail };
        row(to, &Key::Event { number }, &event);
    }
    let bare = Event {
        at,
        kind: EventKind::TagSet,
        repository: None,
        digest: None,
        tag: None,
        detail: Bytes::new(),
    };
    row(to, &Key::Event { number: 9 }, &bare);
    for kind in EventKind::ALL.into_iter().skip(8) {
        let number = 100 + u64::from(kind.code());
        let event = Event { kind, digest: Some(digest), ..bare.clone() };
        row(to, &Key::Event { number }, &event);
    }
    let deletion = TrashRecord { at, repository: named(), digest, what: Trashed::Tag(tag.clone()) };
    row(to, &Key::Trash { number: 8 }, &deletion);
    for (number, descriptor) in [(6, None), (7, Some(Bytes::from_static(b"{\"size\":19}")))] {
        let ManifestRecord { media_type, size, pushed_at, attributes } = manifest.clone();
        let what = Trashed::Manifest(TrashedManifest {
            media_type,
            size,
            pushed_at,
            attributes,
            edges: edges.clone(),
            there: vec![(digest, Target::Manifest), (other, Target::Link)],
            descriptor,
            tags: vec![tag.clone()],
        });
        row(to, &Key::Trash { number }, &TrashRecord { at, repository: named(), digest, what });
    }
}

const FORMAT_1: &str = include_str!("../../../tests/fixtures/format-v1/records.txt");
const FORMAT_2: &str = include_str!("../../../tests/fixtures/format-v2/records.txt");
const FORMAT_3: &str = include_str!("../../../tests/fixtures/format-v3/records.txt");
const FORMAT_4: &str = include_str!("../../../tests/fixtures/format-v4/records.txt");

/// The fixture as text: `table`, key and value in hexadecimal, one row a line.
fn fixture_text() -> String {
    let line = |(name, key, value): (String, Bytes, Bytes)| {
        format!("{name} {} {}\n", hex::encode(key), hex::encode(value))
    };
    fixture().into_iter().map(line).collect()
}

/// The fixture was written once. Where this test fails, the format has changed: a new version is needed, a new fixture
/// beside the old ones, and a section in docs/format.md.
#[test]
fn encodings_are_those_of_format_version_4() {
    for (committed, now) in FORMAT_4.lines().zip(fixture_text().lines()) {
        assert_eq!(committed, now);
    }
    assert_eq!(FORMAT_4.lines().count(), fixture_text().lines().count());
}

#[test]
fn the_fixture_has_every_table() {
    let mut tables: Vec<u8> = fixture().iter().map(|(_, key, _)| key[0]).collect();
    tables.push(table::CURSOR);
    tables.sort_unstable();
    tables.dedup();
    assert_eq!(tables, table::ALL);
}

#[test]
fn rows_of_every_version_are_read_back() {
    for line in [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4].into_iter().flat_map(str::lines) {
        let mut parts = line.split(' ').skip(1).map(|part| hex::decode(part).unwrap());
        let (key, value) = (parts.next().unwrap(), Bytes::from(parts.next().unwrap()));
        let key = Key::decode(&key).unwrap();
        crate::meta::record::decode_row(&key, value).unwrap();
    }
}

/// An older store needs no conversion: all but the fact of its number and the order of its queue is as it was.
#[test]
fn rows_of_version_1_are_rows_of_version_2() {
    let changed = FORMAT_1.lines().filter(|line| !FORMAT_2.lines().any(|kept| kept == *line));
    let changed: Vec<&str> = changed.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(changed, ["Meta", "Gc", "Gc", "Gc", "Gc"]);
}

#[test]
fn rows_of_version_2_are_rows_of_version_3() {
    let changed: Vec<&str> =
        FORMAT_2.lines().filter(|line| !FORMAT_3.lines().any(|kept| kept == *line)).collect();
    assert_eq!(changed, ["Meta 21666f726d6174 0102000000"]);
}

#[test]
fn rows_of_version_3_are_rows_of_version_4() {
    let changed: Vec<&str> =
        FORMAT_3.lines().filter(|line| !FORMAT_4.lines().any(|kept| kept == *line)).collect();
    assert_eq!(changed, ["Meta 21666f726d6174 0103000000"]);
}
