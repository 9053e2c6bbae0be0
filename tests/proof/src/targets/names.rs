//! Digests, names, tags, references and upload ids: no panic, and what parses prints as it was.

use strata_types::{Digest, Reference, RepositoryName, Tag, UploadId};

pub(super) fn run(data: &[u8]) {
    if let Ok((digest, rest)) = Digest::from_key(data) {
        assert_eq!([digest.to_key().as_slice(), rest].concat(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
    if let Ok(name) = RepositoryName::parse(text) {
        assert_eq!(name.as_str(), text);
        assert!(
            !text.contains("..")
                && !text.contains("//")
                && !text.contains('\0')
                && !name.registry().is_empty()
        );
    }
    if let Ok(tag) = Tag::parse(text) {
        assert_eq!(tag.as_str(), text);
        assert!(matches!(Reference::parse(text), Ok(Reference::Tag(_))));
    }
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(reference.to_string(), text);
        assert_eq!(matches!(reference, Reference::Digest(_)), Digest::parse(text).is_ok());
    }
    if let Ok(id) = UploadId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
}
