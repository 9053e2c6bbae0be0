//! Keys: there and back, their order, and hostile bytes.

use super::*;
use crate::meta::arbitrary;
use proptest::prelude::*;

/// The parts of a key in the order in which rows of its table are listed.
fn order_of(key: &Key) -> Vec<Vec<u8>> {
    let number = |number: u64| number.to_be_bytes().to_vec();
    let name = |name: &RepositoryName| name.as_str().as_bytes().to_vec();
    let text = |tag: &Tag| tag.as_str().as_bytes().to_vec();
    match key {
        Key::Repository { repository } => vec![name(repository)],
        Key::Tag { repository, tag } => vec![name(repository), text(tag)],
        Key::TagMove { repository, tag, event } => vec![name(repository), text(tag), number(*event)],
        Key::ManifestTag { repository, digest, tag } => vec![name(repository), digest.to_key(), text(tag)],
        Key::Ingest { repository, id } => vec![name(repository), id.as_bytes().to_vec()],
        Key::Link { repository, digest }
        | Key::Pin { repository, digest }
        | Key::Manifest { repository, digest }
        | Key::Edges { repository, digest } => {
            vec![name(repository), digest.to_key()]
        }
        Key::BackEdge { repository, child, parent } => {
            vec![name(repository), child.to_key(), parent.to_key()]
        }
        Key::Referrer { repository, subject, referrer } => {
            vec![name(repository), subject.to_key(), referrer.to_key()]
        }
        Key::BlobRepository { digest, repository } | Key::ManifestRepository { digest, repository } => {
            vec![digest.to_key(), name(repository)]
        }
        Key::ManifestBytes { digest } | Key::Blob { digest } | Key::Quarantine { digest } => {
            vec![digest.to_key()]
        }
        Key::Generation { generation: value }
        | Key::Event { number: value }
        | Key::Trash { number: value } => vec![number(*value)],
        Key::Frame { segment, offset } => vec![number(u64::from(*segment)), number(*offset)],
        Key::Gc { .. } => vec![key.encode().get(1..10).unwrap().to_vec()],
        Key::GcSince { .. } => vec![key.encode().get(1..2).unwrap().to_vec()],
        Key::GcFormat1 { at, .. } => vec![number(at.0)],
        Key::Setting { name } => vec![name.to_vec()],
        Key::Usage { registry } => vec![registry.as_bytes().to_vec()],
        Key::Holders { registry, held, digest } => {
            vec![registry.as_bytes().to_vec(), vec![held.code()], digest.to_key()]
        }
        Key::Upload { id } => vec![id.as_bytes().to_vec()],
        Key::Lease { digest, id } => vec![digest.to_key(), id.0.to_vec()],
        Key::Tombstone { .. } | Key::Meta { .. } | Key::Reserved { .. } => vec![],
    }
}

proptest! {
    #[test]
    fn keys_come_back(key in arbitrary::key()) {
        prop_assert!(key.to_string().is_ascii());
        let bytes = key.encode();
        prop_assert_eq!(Key::decode(&bytes).unwrap(), key);
    }

    #[test]
    fn keys_sort_by_their_parts(left in arbitrary::key(), right in arbitrary::key()) {
        let (left_bytes, right_bytes) = (left.encode(), right.encode());
        prop_assert_eq!(left == right, left_bytes == right_bytes);
        if left_bytes[0] == right_bytes[0] && order_of(&left) != order_of(&right) {
            prop_assert_eq!(left_bytes.cmp(&right_bytes), order_of(&left).cmp(&order_of(&right)));
        }
    }

    #[test]
    fn prefixes_take_in_their_own_only(one in arbitrary::repository(), other in arbitrary::repository(),
                                       tag in arbitrary::tag(), digest in arbitrary::digest(), child in arbitrary::digest()) {
        let same = one == other;
        prop_assert_eq!(super::tag(&other, &tag).starts_with(&tags(&one)), same);
        prop_assert_eq!(manifest(&other, &digest).starts_with(&manifests(&one)), same);
        prop_assert_eq!(link(&other, &digest).starts_with(&links(&one)), same);
        prop_assert_eq!(pin(&other, &digest).starts_with(&pins(&one)), same);
        prop_assert_eq!(ingest(&other, &UploadId::from_bytes([7; 16])).starts_with(&ingests(&one)), same);
        let held = same && child == digest;
        prop_assert_eq!(back_edge(&other, &child, &digest).starts_with(&back_edges(&one, &digest)), held);
        prop_assert_eq!(referrer(&other, &child, &digest).starts_with(&referrers(&one, &digest)), held);
        prop_assert_eq!(manifest_tag(&other, &child, &tag).starts_with(&manifest_tags(&one, &digest)), held);
        prop_assert_eq!(tag_move(&other, &tag, 7).starts_with(&tag_moves(&one, &tag)), same);
        prop_assert_eq!(blob_repository(&child, &one).starts_with(&blob_repositories(&digest)), child == digest);
        prop_assert_eq!(lease(&child, LeaseId([9; 16])).starts_with(&leases(&digest)), child == digest);
    }

    #[test]
    fn any_bytes_are_a_key_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80),
                                       key in arbitrary::key(), cut in any::<proptest::sample::Index>()) {
        for bytes in [bytes, key.encode()[..cut.index(key.encode().len())].to_vec()] {
            match Key::decode(&bytes) {
                Ok(key) => prop_assert_eq!(key.encode(), bytes),
                Err(error) => prop_assert!(matches!(error, crate::EngineError::Corrupt { .. }), "{}", error),
            }
        }
    }
}

#[test]
fn tables_are_distinct_and_in_order() {
    assert!(table::ALL.is_sorted_by(|left, right| left < right));
}

#[test]
fn the_format_document_has_every_table() {
    let document = include_str!("../../../../docs/format.md");
    for first in table::ALL {
        let row = format!("\n| `{}` | `{0}", char::from(first));
        assert!(document.contains(&row), "no row {row:?}");
    }
}

#[test]
fn messages_show_keys_readably() {
    let tag = super::tag(&RepositoryName::parse("a/b").unwrap(), &Tag::parse("v1").unwrap());
    assert_eq!(printable(&tag), "tag a/b:v1");
    assert_eq!(printable(&frame(10, 7)), "frame 0000000a 7");
    assert_eq!(printable(b"?\xff"), r"?\xff");
    let error = Key::decode(b"t\x00a\\b").unwrap_err().to_string();
    assert_eq!(error, r"corrupt data: key t\x00a\x5cb");
}
