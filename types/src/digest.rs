//! `algorithm:hex`, the name of content (image-spec, "Digests"). Only registered algorithms that the engine can compute.

use std::fmt;
use std::str::FromStr;

/// A hash algorithm that names content: `sha256` or `sha512` (image-spec, "Registered algorithms").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// SHA-256, the canonical one: 32 bytes.
    #[default]
    Sha256,
    /// SHA-512: 64 bytes.
    Sha512,
}

impl Algorithm {
    /// Parses the name as it stands before the colon of a digest.
    ///
    /// # Errors
    /// [`DigestError::UnsupportedAlgorithm`] for any other word.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnsupportedAlgorithm),
        }
    }

    /// The name as it stands before the colon of a digest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of a hash of this algorithm, bytes.
    #[expect(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text or a key is not a [`Digest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text is not `algorithm:hex` with the length of its algorithm, in lower case.
    #[error("a digest is sha256: and 64, or sha512: and 128 lower-case hexadecimal digits")]
    Malformed,
    /// The word before the colon names no algorithm that this registry computes.
    #[error("the digest's algorithm is not supported: use sha256 or sha512")]
    UnsupportedAlgorithm,
}

/// The name of a piece of content: an algorithm and the hash of the bytes.
///
/// Shape: `sha256:` and 64, or `sha512:` and 128 characters of `[a-f0-9]`; upper case is invalid.
///
/// ```
/// use strata_types::Digest;
/// let digest = Digest::parse("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")?;
/// assert_eq!(digest.algorithm().name(), "sha256");
/// # Ok::<(), strata_types::DigestError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// A SHA-256 hash.
    Sha256([u8; 32]),
    /// A SHA-512 hash.
    Sha512([u8; 64]),
}

/// The bytes that hexadecimal digits stand for, all of them lower case. Without a branch for each: a request may name ten thousand digests.
fn from_hex<const LEN: usize>(digits: &str) -> Option<[u8; LEN]> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != LEN || !rest.is_empty() {
        return None;
    }
    let (mut bytes, mut all) = ([0; LEN], 0);
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digit(*high), digit(*low));
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(bytes)
}

/// What a digit stands for; of others more than any digit.
const fn digit(text: u8) -> u8 {
    let (number, letter) = (text.wrapping_sub(b'0'), text.wrapping_sub(b'a'));
    match (number, letter) {
        (0..10, _) => number,
        (_, 0..6) => letter + 10,
        _ => u8::MAX,
    }
}

/// First byte of a sha256 digest in a key of the metadata store.
const KEY_TAG_SHA256: u8 = 1;
/// First byte of a sha512 digest in a key of the metadata store.
const KEY_TAG_SHA512: u8 = 2;

impl Digest {
    /// Parses `algorithm:hex`.
    ///
    /// # Errors
    /// [`DigestError`] where the text is not a digest of a supported algorithm.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex_digits) = text.split_once(':').ok_or(DigestError::Malformed)?;
        let algorithm = Algorithm::parse(algorithm)?;
        match algorithm {
            Algorithm::Sha256 => from_hex(hex_digits).map(Self::Sha256),
            Algorithm::Sha512 => from_hex(hex_digits).map(Self::Sha512),
        }
        .ok_or(DigestError::Malformed)
    }

    /// Makes a digest of a finished hash.
    ///
    /// # Errors
    /// [`DigestError::Malformed`] where `hash` has not the algorithm's length.
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Result<Self, DigestError> {
        match algorithm {
            Algorithm::Sha256 => hash.try_into().map(Self::Sha256),
            Algorithm::Sha512 => hash.try_into().map(Self::Sha512),
        }
        .map_err(|_| DigestError::Malformed)
    }

    /// The algorithm that made the hash.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// The hash itself, 32 or 64 bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The part after the colon: 64 or 128 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// The digest as part of a metadata key: one tag byte (1 = sha256, 2 = sha512), then the hash. Self-delimiting.
    pub fn to_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + self.as_bytes().len());
        self.write_key(&mut key);
        key
    }

    /// Appends what [`Digest::to_key`] returns.
    pub fn write_key(&self, key: &mut Vec<u8>) {
        key.push(match self {
            Self::Sha256(_) => KEY_TAG_SHA256,
            Self::Sha512(_) => KEY_TAG_SHA512,
        });
        key.extend_from_slice(self.as_bytes());
    }

    /// Reads a digest from the front of `key` and returns it with the rest.
    ///
    /// # Errors
    /// [`DigestError`] where the front is no digest in the form of [`Digest::to_key`].
    pub fn from_key(key: &[u8]) -> Result<(Self, &[u8]), DigestError> {
        let (tag, rest) = key.split_first().ok_or(DigestError::Malformed)?;
        match *tag {
            KEY_TAG_SHA256 => {
                let (hash, rest) = rest.split_first_chunk::<32>().ok_or(DigestError::Malformed)?;
                Ok((Self::Sha256(*hash), rest))
            }
            KEY_TAG_SHA512 => {
                let (hash, rest) = rest.split_first_chunk::<64>().ok_or(DigestError::Malformed)?;
                Ok((Self::Sha512(*hash), rest))
            }
            _ => Err(DigestError::UnsupportedAlgorithm),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm().name())?;
        f.write_str(":")?;
        // One write for the whole hash: this runs for every response header.
        let mut digits = [0; 128];
        let used = self.as_bytes().len() * 2;
        let Some(digits) = digits.get_mut(..used) else { return Err(fmt::Error) };
        hex::encode_to_slice(self.as_bytes(), digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn parses_and_prints_both_algorithms() {
        for text in [format!("sha256:{EMPTY}"), format!("sha512:{EMPTY}{EMPTY}")] {
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.to_string(), text);
            let key = digest.to_key();
            assert_eq!(Digest::from_key(&key).unwrap(), (digest, &[][..]));
        }
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for (text, error) in [
            (String::new(), DigestError::Malformed),
            ("sha256".into(), DigestError::Malformed),
            ("sha256:".into(), DigestError::Malformed),
            ("sha256:baddigeststring".into(), DigestError::Malformed),
            (format!("sha256:{}", EMPTY.to_uppercase()), DigestError::Malformed),
            (format!("sha256:{EMPTY}0"), DigestError::Malformed),
            (format!("sha512:{EMPTY}"), DigestError::Malformed),
            (format!("sha256:{EMPTY} "), DigestError::Malformed),
            (format!("SHA256:{EMPTY}"), DigestError::UnsupportedAlgorithm),
            (format!("md5:{EMPTY}"), DigestError::UnsupportedAlgorithm),
            (format!(":{EMPTY}"), DigestError::UnsupportedAlgorithm),
            (format!("sha256:sha256:{EMPTY}"), DigestError::Malformed),
        ] {
            assert_eq!(Digest::parse(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_key_leaves_what_follows_it() {
        let digest = Digest::parse(&format!("sha256:{EMPTY}")).unwrap();
        let mut key = digest.to_key();
        key.extend_from_slice(b"rest");
        assert_eq!(Digest::from_key(&key).unwrap(), (digest, &b"rest"[..]));
        for bad in [&[][..], &[1], &[2, 0, 0], &[9; 70]] {
            assert!(Digest::from_key(bad).is_err(), "{bad:?}");
        }
    }
}
