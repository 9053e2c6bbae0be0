//! Random values for the property tests: names that are prefixes of each other, few digests, all kinds of keys.

use super::key::{Key, table};
use super::record::{GcItem, Held, LeaseId, TombstoneItem};
use crate::clock::UnixMillis;
use bytes::Bytes;
use proptest::prelude::*;
use strata_types::{Digest, RepositoryName, Tag, UploadId};

pub(crate) fn repository() -> impl Strategy<Value = RepositoryName> {
    "[ab](/[ab]|-a|\\.b|__a|b){0,3}".prop_map(|name| RepositoryName::parse(&name).unwrap())
}

pub(crate) fn tag() -> impl Strategy<Value = Tag> {
    "[aB_0][aB._-]{0,4}".prop_map(|tag| Tag::parse(&tag).unwrap())
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![
        // Bytes that could be mistaken for delimiters and tags.
        prop_oneof![Just(0), Just(1), Just(2), Just(0xff), any::<u8>()]
            .prop_map(|byte| Digest::Sha256([byte; 32])),
        any::<[u8; 32]>().prop_map(Digest::Sha256),
        prop_oneof![Just(0), Just(0xff), any::<u8>()].prop_map(|byte| Digest::Sha512([byte; 64])),
    ]
}

pub(crate) fn time() -> impl Strategy<Value = UnixMillis> {
    prop_oneof![any::<u64>(), 0..3_u64].prop_map(UnixMillis)
}

pub(crate) fn gc_item() -> impl Strategy<Value = GcItem> {
    prop_oneof![
        (repository(), digest()).prop_map(|(repository, digest)| GcItem::Link { repository, digest }),
        (repository(), digest()).prop_map(|(repository, digest)| GcItem::Manifest { repository, digest }),
        digest().prop_map(|digest| GcItem::Blob { digest }),
        digest().prop_map(|digest| GcItem::ManifestBytes { digest }),
    ]
}

pub(crate) fn tombstone_item() -> impl Strategy<Value = TombstoneItem> {
    prop_oneof![
        any::<u64>().prop_map(|generation| TombstoneItem::File { generation }),
        (any::<u32>(), any::<u64>()).prop_map(|(segment, offset)| TombstoneItem::Frame { segment, offset }),
        any::<u32>().prop_map(|segment| TombstoneItem::Segment { segment }),
    ]
}

pub(crate) fn bytes(longest: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..=longest).prop_map(Bytes::from)
}

fn repository_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        repository().prop_map(|repository| Key::Repository { repository }),
        (repository(), tag()).prop_map(|(repository, tag)| Key::Tag { repository, tag }),
        (repository(), tag(), any::<u64>()).prop_map(|(repository, tag, event)| Key::TagMove {
            repository,
            tag,
            event
        }),
        (repository(), digest(), tag()).prop_map(|(repository, digest, tag)| Key::ManifestTag {
            repository,
            digest,
            tag
        }),
        (repository(), digest()).prop_map(|(repository, digest)| Key::Link { repository, digest }),
        (repository(), digest()).prop_map(|(repository, digest)| Key::Pin { repository, digest }),
        (repository(), any::<[u8; 16]>())
            .prop_map(|(repository, id)| Key::Ingest { repository, id: UploadId::from_bytes(id) }),
        (repository(), digest()).prop_map(|(repository, digest)| Key::Manifest { repository, digest }),
        (repository(), digest()).prop_map(|(repository, digest)| Key::Edges { repository, digest }),
        (repository(), digest(), digest()).prop_map(|(repository, child, parent)| Key::BackEdge {
            repository,
            child,
            parent
        }),
        (repository(), digest(), digest()).prop_map(|(repository, subject, referrer)| Key::Referrer {
            repository,
            subject,
            referrer
        }),
    ]
}

fn store_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        "[a-z-]{0,9}".prop_map(|name| Key::Meta { name }),
        (repository(), digest()).prop_map(|(repository, digest)| Key::BlobRepository { digest, repository }),
        (repository(), digest())
            .prop_map(|(repository, digest)| Key::ManifestRepository { digest, repository }),
        digest().prop_map(|digest| Key::ManifestBytes { digest }),
        digest().prop_map(|digest| Key::Blob { digest }),
        digest().prop_map(|digest| Key::Quarantine { digest }),
        repository().prop_map(|name| Key::Usage { registry: name.registry().to_owned() }),
        (repository(), any::<bool>(), digest()).prop_map(|(name, blob, digest)| Key::Holders {
            registry: name.registry().to_owned(),
            held: if blob { Held::Blob } else { Held::Manifest },
            digest
        }),
        any::<u64>().prop_map(|generation| Key::Generation { generation }),
        (any::<u32>(), any::<u64>()).prop_map(|(segment, offset)| Key::Frame { segment, offset }),
        (time(), gc_item()).prop_map(|(at, item)| Key::Gc { at, item }),
        gc_item().prop_map(|item| Key::GcSince { item }),
        // Format 1 was in use in these years only.
        (0..1_u64 << 50, gc_item()).prop_map(|(at, item)| Key::GcFormat1 { at: UnixMillis(at), item }),
        any::<[u8; 16]>().prop_map(|id| Key::Upload { id: UploadId::from_bytes(id) }),
        any::<u64>().prop_map(|number| Key::Event { number }),
        any::<u64>().prop_map(|number| Key::Trash { number }),
        (digest(), any::<[u8; 16]>()).prop_map(|(digest, id)| Key::Lease { digest, id: LeaseId(id) }),
        tombstone_item().prop_map(|item| Key::Tombstone { item }),
        bytes(9).prop_map(|name| Key::Setting { name }),
        (prop_oneof![Just(table::CURSOR), Just(table::JOB)], bytes(9))
            .prop_map(|(table, name)| Key::Reserved { table, name }),
    ]
}

pub(crate) fn key() -> impl Strategy<Value = Key> {
    prop_oneof![repository_key(), store_key()]
}
