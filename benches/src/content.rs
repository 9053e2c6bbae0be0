//! Bytes to push: noise that is the same for the same seed, so that several servers can be given the same blobs.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The source of noise (SplitMix64).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Noise that is the same whenever the seed is.
    pub fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    /// `length` bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The digest of the parts put together, as a registry writes it.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut text = String::from("sha256:");
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// An image: the configuration and the manifest that go with some layers.
#[derive(Debug)]
pub struct Image {
    /// The configuration blob.
    pub config: Vec<u8>,
    /// The configuration's digest.
    pub config_digest: String,
    /// The manifest.
    pub manifest: Vec<u8>,
}

/// The media type of the manifests made here.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

impl Image {
    /// Describes an image of the given layers, each as (digest, size).
    pub fn of(layers: &[(String, usize)]) -> Image {
        let list = |quoted: Vec<String>| quoted.join(",");
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
            list(layers.iter().map(|(digest, _)| format!(r#""{digest}""#)).collect())
        )
        .into_bytes();
        let config_digest = digest([config.as_slice()]);
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config_digest}","size":{}}},"layers":[{}]}}"#,
            config.len(),
            list(
                layers
                    .iter()
                    .map(|(digest, size)| format!(
                        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{size}}}"#
                    ))
                    .collect()
            )
        )
        .into_bytes();
        Image { config, config_digest, manifest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_for_a_seed_and_only_for_it() {
        assert_eq!(Noise::new(7).bytes(33), Noise::new(7).bytes(33));
        assert_ne!(Noise::new(7).bytes(33), Noise::new(8).bytes(33));
        assert_eq!(Noise::new(7).bytes(33).len(), 33);
    }

    #[test]
    fn a_digest_is_that_of_the_joined_parts() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest([]), empty);
        assert_eq!(digest([b"ab".as_slice(), b"c"]), digest([b"abc".as_slice()]));
    }
}
