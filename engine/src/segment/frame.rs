//! One small blob in a segment: a header of 96 bytes, then the bytes of the blob. See `docs/format.md`, "Segment frames".

use crate::blob::checksum;
use crate::limits::SMALL_BLOB_BYTES_MAX;
use bytes::Bytes;
use strata_types::{Algorithm, Digest};
use xxhash_rust::xxh3::xxh3_64;

/// Length of a frame's header, bytes.
pub(crate) const HEADER_BYTES: usize = 96;
/// Longest frame, bytes.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + SMALL_BLOB_BYTES_MAX;

const MAGIC: [u8; 4] = *b"STRF";
const VERSION: u8 = 1;
const TAG_SHA256: u8 = 1;
const TAG_SHA512: u8 = 2;
/// Where the header's own checksum starts: it covers all before.
const CHECKED_BYTES: usize = 88;

/// The header of the frame that holds `len` bytes with checksum `checksum`.
pub(crate) fn header(digest: &Digest, len: u32, checksum: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let tag = match digest.algorithm() {
        Algorithm::Sha256 => TAG_SHA256,
        Algorithm::Sha512 => TAG_SHA512,
    };
    put(&mut header, 0, &MAGIC);
    put(&mut header, 4, &[VERSION, tag, 0, 0]);
    put(&mut header, 8, &len.to_le_bytes());
    put(&mut header, 16, digest.as_bytes());
    put(&mut header, 80, &checksum.to_le_bytes());
    let checked = xxh3_64(header.get(..CHECKED_BYTES).unwrap_or_default());
    put(&mut header, CHECKED_BYTES, &checked.to_le_bytes());
    header
}

fn put(header: &mut [u8; HEADER_BYTES], at: usize, bytes: &[u8]) {
    if let Some(to) = header.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// Verifies a whole frame against what its row says, and returns the blob's bytes.
///
/// # Errors
/// What is wrong with the frame, in words.
pub(crate) fn payload(
    frame: &Bytes,
    digest: &Digest,
    size: u64,
    expected: u64,
) -> Result<Bytes, &'static str> {
    if frame.len() > FRAME_BYTES_MAX {
        return Err("the frame is longer than any");
    }
    let Some((head, body)) = frame.split_first_chunk::<HEADER_BYTES>() else {
        return Err("the frame has no header");
    };
    let sum = checksum(body);
    // The header is a function of digest, length and bytes: one comparison checks magic, version, every field and the checksum.
    if *head != header(digest, body.len() as u32, sum) {
        return Err("header or bytes of the frame are not what was written");
    }
    if body.len() as u64 != size || sum != expected {
        return Err("the frame is whole, but not the one that the blob's row describes");
    }
    Ok(frame.slice(HEADER_BYTES..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Hasher;
    use proptest::prelude::*;

    fn frame(bytes: &[u8], digest: &Digest) -> Vec<u8> {
        let mut frame = header(digest, bytes.len() as u32, checksum(bytes)).to_vec();
        frame.extend_from_slice(bytes);
        frame
    }

    #[test]
    fn layout_does_not_change() {
        let digest = Hasher::digest(Algorithm::Sha256, b"abc");
        let header = header(&digest, 3, checksum(b"abc"));
        assert_eq!(hex::encode(&header[..16]), "53545246010100000300000000000000");
        assert_eq!(header[16..48], *digest.as_bytes());
        assert_eq!(header[48..80], [0; 32]);
        assert_eq!(hex::encode(&header[80..88]), hex::encode(checksum(b"abc").to_le_bytes()));
    }

    proptest! {
        #[test]
        fn one_changed_bit_is_seen(bytes in prop::collection::vec(any::<u8>(), 0..600), long: bool, at: prop::sample::Index, bit in 0..8_u8) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Hasher::digest(algorithm, &bytes);
            let sum = checksum(&bytes);
            let mut frame = frame(&bytes, &digest);
            let whole = Bytes::from(frame.clone());
            let size = bytes.len() as u64;
            prop_assert_eq!(payload(&whole, &digest, size, sum).unwrap(), Bytes::from(bytes));
            prop_assert!(payload(&whole, &digest, size + 1, sum).is_err());
            prop_assert!(payload(&whole, &digest, size, sum ^ 1).is_err());
            prop_assert!(payload(&whole.slice(1..), &digest, size, sum).is_err());
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            prop_assert!(payload(&frame.into(), &digest, size, sum).is_err());
        }
    }
}
