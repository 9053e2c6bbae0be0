//! Bytes to push: noise that is the same for the same seed, so that several servers can be given the same blobs; blobs and images made of it.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// The media type of the manifests made here.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// How a large blob is cut: the same noise again and again, each piece under a number.
const PIECE_BYTES: usize = 1 << 20;

/// The source of noise (SplitMix64).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Noise that is the same whenever the seed is.
    pub fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    /// Noise that is different in every run, so that no server has the content already. `part` tells several sources of one run apart.
    pub fn fresh(part: u64) -> Noise {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
        Noise(now ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(32))
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

    /// A number from 0 to just below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what the mantissa holds")]
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
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
    written(hasher)
}

/// A finished hash as a registry writes it.
pub(crate) fn written(hasher: Sha256) -> String {
    let mut text = String::from("sha256:");
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Content to push and its digest. Large ones share the memory of their pieces.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The digest.
    pub digest: String,
    /// The content in order.
    pub parts: Vec<Bytes>,
    /// The length of all parts.
    pub length: usize,
}

impl Blob {
    /// A blob of this content.
    pub fn of(bytes: Vec<u8>) -> Blob {
        let (digest, length) = (digest([bytes.as_slice()]), bytes.len());
        Blob { digest, length, parts: vec![Bytes::from(bytes)] }
    }

    /// A blob of `length` bytes of noise. Above some MiB it repeats itself, every piece under its number, so that it needs little memory.
    pub fn noise(noise: &mut Noise, length: usize) -> Blob {
        if length <= 4 * PIECE_BYTES {
            return Blob::of(noise.bytes(length));
        }
        let piece = Bytes::from(noise.bytes(PIECE_BYTES));
        let mut parts = Vec::new();
        for (number, start) in (0..length).step_by(PIECE_BYTES).enumerate() {
            let (number, size) = ((number as u64).to_be_bytes(), PIECE_BYTES.min(length - start));
            let head = size.min(number.len());
            parts.push(Bytes::copy_from_slice(number.get(..head).unwrap_or_default()));
            parts.push(piece.slice(head..size));
        }
        Blob { digest: digest(parts.iter().map(Bytes::as_ref)), parts, length }
    }
}

/// An image: its layers, and the configuration and the manifest that go with them.
#[derive(Debug, Clone)]
pub struct Image {
    /// The layers.
    pub layers: Vec<Blob>,
    /// The configuration.
    pub config: Blob,
    /// The manifest.
    pub manifest: Blob,
}

impl Image {
    /// An image of the given layers.
    pub fn of(layers: Vec<Blob>) -> Image {
        let list = |quoted: Vec<String>| quoted.join(",");
        let diffs = list(layers.iter().map(|layer| format!(r#""{}""#, layer.digest)).collect());
        let config = Blob::of(
            format!(r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{diffs}]}}}}"#)
                .into_bytes(),
        );
        let described = list(
            layers
                .iter()
                .map(|Blob { digest, length, .. }| {
                    format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{length}}}"#)
                })
                .collect(),
        );
        let Blob { digest, length, .. } = &config;
        let manifest = Blob::of(
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{length}}},"layers":[{described}]}}"#
            )
            .into_bytes(),
        );
        Image { layers, config, manifest }
    }

    /// An image of `layers` layers of noise, each of `layer_bytes` bytes.
    pub fn noise(noise: &mut Noise, layers: usize, layer_bytes: usize) -> Image {
        Image::of((0..layers).map(|_| Blob::noise(noise, layer_bytes)).collect())
    }

    /// The bytes of its layers.
    pub fn bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.length as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_for_a_seed_and_only_for_it() {
        assert_eq!(Noise::new(7).bytes(33), Noise::new(7).bytes(33));
        assert_ne!(Noise::new(7).bytes(33), Noise::new(8).bytes(33));
        assert_ne!(Noise::fresh(1).bytes(33), Noise::fresh(2).bytes(33));
        assert_eq!(Noise::new(7).bytes(33).len(), 33);
        let mut noise = Noise::new(9);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&noise.share())));
    }

    #[test]
    fn a_digest_is_that_of_the_joined_parts() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest([]), empty);
        assert_eq!(digest([b"ab".as_slice(), b"c"]), digest([b"abc".as_slice()]));
    }

    #[test]
    fn a_large_blob_is_as_long_as_asked_and_no_piece_like_another() {
        let length = 5 * PIECE_BYTES + 3;
        let blob = Blob::noise(&mut Noise::new(1), length);
        assert_eq!(blob.parts.iter().map(Bytes::len).sum::<usize>(), length);
        assert_eq!(blob.length, length);
        let joined: Vec<u8> = blob.parts.concat();
        assert_eq!(blob.digest, digest([joined.as_slice()]));
        assert_ne!(joined[..PIECE_BYTES], joined[PIECE_BYTES..2 * PIECE_BYTES]);
    }

    #[test]
    fn a_manifest_names_what_it_is_made_of() {
        let image = Image::noise(&mut Noise::new(2), 2, 100);
        let manifest: serde_json::Value = serde_json::from_slice(&image.manifest.parts[0]).unwrap();
        assert_eq!(manifest["config"]["digest"], image.config.digest.as_str());
        assert_eq!(manifest["layers"][1]["digest"], image.layers[1].digest.as_str());
        assert_eq!(manifest["layers"][1]["size"], 100);
        assert_eq!(image.bytes(), 200);
    }
}
