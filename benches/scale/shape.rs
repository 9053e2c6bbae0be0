//! What a filled store holds, worked out from numbers alone, so that whoever asks for it need not be told.

use bytes::Bytes;
use std::fmt::Write as _;
use strata_benches::content::{MANIFEST_TYPE, Noise};
use strata_engine::meta::digest_of;
use strata_types::{Algorithm, Digest, RepositoryName, Tag};

/// Links of an image: its configuration, one layer of its own, three that others have too.
pub(crate) const LINKS: usize = 5;
/// The first image of every repository has so many referrers.
const REFERRERS: usize = 10;

/// A store's size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) manifests: usize,
    in_one: usize,
    /// Images of each repository but the large one.
    in_each: usize,
}

/// One image of a store.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) repository: RepositoryName,
    pub(crate) tag: Tag,
    /// The configuration first, then the layers.
    pub(crate) blobs: [Digest; LINKS],
    /// The image of the same repository that this one says something about.
    pub(crate) subject: Option<usize>,
}

impl Shape {
    /// What an empty store is taken to be: just enough to ask for, a whole page of each kind.
    pub(crate) const SMALL: Shape = Shape { manifests: 200 + 150 * 11, in_one: 200, in_each: 11 };

    pub(crate) fn new(manifests: usize, in_one: usize) -> Shape {
        Shape { manifests, in_one: in_one.min(manifests), in_each: 100 }
    }

    /// Blobs that several images have: three for each image, from as many as there are images.
    pub(crate) fn shared(&self) -> usize {
        self.manifests
    }

    /// All blobs of the store.
    pub(crate) fn blobs(&self) -> usize {
        self.shared() + 2 * self.manifests
    }

    /// The repository of an image, and its place there.
    fn place(&self, image: usize) -> (String, usize) {
        match image.checked_sub(self.in_one) {
            None => ("big/one".to_owned(), image),
            Some(other) => {
                let repository = other / self.in_each;
                (format!("team-{:02}/app-{repository:05}", repository % 100), other % self.in_each)
            }
        }
    }

    /// Tags of the repository that has the most.
    pub(crate) fn in_one(&self) -> usize {
        self.in_one
    }

    /// The first image of the repository that an image is in: it has referrers.
    pub(crate) fn first_of_its_repository(&self, image: usize) -> usize {
        image - self.place(image).1
    }

    /// The image with this number.
    pub(crate) fn image(&self, number: usize) -> Image {
        let (repository, place) = self.place(number);
        let own = self.shared() + 2 * number;
        // Steps without a common divisor with the number of shared blobs: no image names one twice, and neighbours differ.
        let shared = |layer: usize| blob(number.wrapping_mul(3).wrapping_add(layer) % self.shared());
        Image {
            repository: name(&repository),
            tag: tag(&format!("v{place:07}")),
            blobs: [blob(own + 1), blob(own), shared(0), shared(1), shared(2)],
            subject: (1..=REFERRERS).contains(&place).then_some(number - place),
        }
    }

    /// The digest of an image's manifest.
    pub(crate) fn digest(&self, number: usize) -> Digest {
        digest_of(Algorithm::Sha256, &self.manifest(number))
    }

    /// The manifest of an image.
    pub(crate) fn manifest(&self, number: usize) -> Bytes {
        let image = self.image(number);
        let subject = image.subject.map(|subject| self.digest(subject));
        manifest(&image.blobs, subject.as_ref(), number as u64)
    }
}

/// A manifest of five blobs; `nonce` makes it another one.
pub(crate) fn manifest(blobs: &[Digest; LINKS], subject: Option<&Digest>, nonce: u64) -> Bytes {
    let [config, layers @ ..] = blobs;
    let mut text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{BLOB_BYTES}}},"layers":["#
    );
    for (place, layer) in layers.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(
            text,
            r#"{comma}{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":{BLOB_BYTES}}}"#
        );
    }
    if let Some(subject) = subject {
        let _ = write!(
            text,
            r#"],"artifactType":"application/vnd.example.signature","subject":{{"mediaType":"{MANIFEST_TYPE}","digest":"{subject}","size":1000}},"annotations":{{"nonce":"{nonce}"}}}}"#
        );
    } else {
        let _ = write!(text, r#"],"annotations":{{"nonce":"{nonce}"}}}}"#);
    }
    text.into()
}

/// What every blob is said to weigh. None of them is stored: only metadata is asked for.
pub(crate) const BLOB_BYTES: u64 = 10_000;

/// The digest of the blob with this number: noise, as digests are.
pub(crate) fn blob(number: usize) -> Digest {
    let mut hash = [0; 32];
    let noise = Noise::new(number as u64 ^ 0x5ca1_e000_0000_0000).bytes(hash.len());
    hash.copy_from_slice(&noise);
    Digest::Sha256(hash)
}

fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}
