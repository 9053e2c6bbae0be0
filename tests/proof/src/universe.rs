//! The few repositories, blobs, manifests and tags that a sequence is about: few, so that its steps meet.

use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::LazyLock;
use strata_engine::meta::digest::digest_of;
use strata_types::media_type::{OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST};
use strata_types::{Algorithm, Digest, RepositoryName, Tag};

/// Repositories; two of one registry, one of another.
pub const REPOSITORIES: usize = 3;
/// Blobs.
pub const BLOBS: usize = 12;
/// Manifests: images, then indexes, then what refers to a subject.
pub const MANIFESTS: usize = 14;
/// Tags.
pub const TAGS: usize = 3;

/// A manifest, and what follows from it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// As it is pushed.
    pub bytes: Bytes,
    /// Its sha256.
    pub digest: Digest,
    /// The blobs that it holds, by number: all must be in the repository.
    pub blobs: Vec<usize>,
    /// The manifests that it holds, by number: they may be missing.
    pub children: Vec<usize>,
    /// What it refers to, by number: may be missing, and is not held.
    pub subject: Option<usize>,
}

/// The name of repository `number`.
pub fn repository(number: usize) -> RepositoryName {
    let names = ["a/x", "a/x/y", "b/x"];
    RepositoryName::parse(names[number % REPOSITORIES]).expect("a name")
}

/// Tag `number`.
pub fn tag(number: usize) -> Tag {
    let tags = ["latest", "v1", "v1.0"];
    Tag::parse(tags[number % TAGS]).expect("a tag")
}

/// The content of blob `number`: one is empty, some are in segments, some in files.
pub fn content(number: usize) -> Bytes {
    static CONTENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
        let sizes = [0, 9, 700, 3000, 60_000, 65_536, 65_537, 70_000, 90_000, 200_000, 33, 1];
        sizes.iter().zip(1_u64..).map(|(size, seed)| noise(seed, *size)).collect()
    });
    CONTENTS[number % BLOBS].clone()
}

/// The digest of blob `number`.
pub fn blob(number: usize) -> Digest {
    static DIGESTS: LazyLock<Vec<Digest>> =
        LazyLock::new(|| (0..BLOBS).map(|number| digest_of(Algorithm::Sha256, &content(number))).collect());
    DIGESTS[number % BLOBS]
}

/// Manifest `number`.
pub fn manifest(number: usize) -> &'static Picture {
    static PICTURES: LazyLock<Vec<Picture>> = LazyLock::new(|| {
        let mut pictures = Vec::new();
        for number in 0..MANIFESTS {
            let picture = draw(number, &pictures);
            pictures.push(picture);
        }
        pictures
    });
    &PICTURES[number % MANIFESTS]
}

/// Which manifest has this digest.
pub fn manifest_number(digest: &Digest) -> Option<usize> {
    (0..MANIFESTS).find(|number| manifest(*number).digest == *digest)
}

/// Which blob has this digest.
pub fn blob_number(digest: &Digest) -> Option<usize> {
    (0..BLOBS).find(|number| blob(*number) == *digest)
}

fn draw(number: usize, before: &[Picture]) -> Picture {
    let described = |picture: &Picture| json!({ "mediaType": OCI_IMAGE_MANIFEST, "digest": picture.digest, "size": picture.bytes.len() });
    let (blobs, children, subject) = match number {
        0..8 => ((0..=number % 4).map(|step| (number * 5 + step * 3) % BLOBS).collect(), Vec::new(), None),
        8 => (Vec::new(), vec![0, 1], None),
        9 => (Vec::new(), vec![1, 2, 8], None),
        10 => (Vec::new(), Vec::new(), None),
        11 => (vec![3, 10], Vec::new(), Some(0)),
        12 => (vec![10, 6], Vec::new(), Some(8)),
        _ => (vec![11], Vec::new(), Some(11)),
    };
    let mut value = if (8..11).contains(&number) {
        let manifests: Vec<Value> = children.iter().map(|child: &usize| described(&before[*child])).collect();
        json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_INDEX, "manifests": manifests })
    } else {
        let layer = |number: &usize| json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob(*number), "size": content(*number).len() });
        let layers: Vec<Value> = blobs[1..].iter().map(layer).collect();
        let mut config = layer(&blobs[0]);
        config["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
        json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE_MANIFEST, "config": config, "layers": layers })
    };
    value["annotations"] = json!({ "number": number.to_string() });
    if let Some(subject) = subject {
        value["subject"] = described(&before[subject]);
    }
    let bytes = Bytes::from(value.to_string());
    Picture { digest: digest_of(Algorithm::Sha256, &bytes), bytes, blobs, children, subject }
}

/// `len` bytes that depend on `seed`.
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}
