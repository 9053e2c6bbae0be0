//! The whole-blob checksum that is kept beside the digest: fast to verify, in any order of blocks and on any number of threads.
//!
//! The sum, modulo 2^64, over blocks of [`CHECKSUM_BLOCK_BYTES`] (the last one as long as it is) of
//! `xxh3_64(xxh3_64(block) as 8 bytes LE, number of the block as 8 bytes LE)`; an empty blob has none. See `docs/format.md`,
//! "Checksums".

use crate::limits::CHECKSUM_BLOCK_BYTES;
use xxhash_rust::xxh3::xxh3_64;

/// The checksum of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    checksum_part(bytes, 0)
}

/// What `bytes` add to the checksum of a blob in which they stand at `offset`, a multiple of [`CHECKSUM_BLOCK_BYTES`]. All parts
/// but the last are whole blocks.
pub(crate) fn checksum_part(bytes: &[u8], offset: u64) -> u64 {
    debug_assert!(offset.is_multiple_of(CHECKSUM_BLOCK_BYTES as u64), "a part starts at a block");
    let first = offset / CHECKSUM_BLOCK_BYTES as u64;
    bytes.chunks(CHECKSUM_BLOCK_BYTES).zip(first..).fold(0_u64, |sum, (block, number)| {
        // The number is hashed in: blocks that changed places change the sum.
        // As a little-endian number of 16 bytes, the hash comes first.
        let numbered = u128::from(xxh3_64(block)) | u128::from(number) << 64;
        sum.wrapping_add(xxh3_64(&numbered.to_le_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_do_not_change() {
        assert_eq!(checksum(b""), 0);
        let block = xxh3_64(b"strata").to_le_bytes();
        assert_eq!(checksum(b"strata"), xxh3_64(&[block, [0; 8]].concat()));
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2, "the published test value of XXH3");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn parts_add_up_in_any_order(len in 0..9 * CHECKSUM_BLOCK_BYTES + 7, cut in 0..10_usize) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 31 + n / 4096) as u8).collect();
            let (front, back) = bytes.split_at(len.min(cut * CHECKSUM_BLOCK_BYTES));
            let back = checksum_part(back, front.len() as u64);
            prop_assert_eq!(back.wrapping_add(checksum(front)), checksum(&bytes));
        }

        #[test]
        fn changed_and_exchanged_blocks_are_seen(seed: u8, at in 0..3 * CHECKSUM_BLOCK_BYTES) {
            let mut bytes: Vec<u8> = (0..3 * CHECKSUM_BLOCK_BYTES).map(|n| (n / 4096) as u8 ^ seed).collect();
            let whole = checksum(&bytes);
            bytes[at] ^= 1;
            prop_assert_ne!(checksum(&bytes), whole);
            bytes[at] ^= 1;
            bytes.rotate_left(CHECKSUM_BLOCK_BYTES);
            prop_assert_ne!(checksum(&bytes), whole);
        }
    }
}
