//! SHA-256 of two streams at once (FIPS 180-4 §6.2.2, with the processor's instructions for it).
//!
//! Every round waits for the one before it, so one stream leaves the processor's unit for these instructions idle half of the time; a second one
//! fills that. One stream gains nothing, and no library does this.

#![expect(clippy::indexing_slicing, reason = "lanes, rounds and words are counted by constants")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi8, _mm_set_epi32, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
};

/// Bytes that are hashed as one.
pub(super) const BLOCK_BYTES: usize = 64;
const LANES: usize = 2;
/// Words of the message schedule in a register.
const WORDS: usize = 4;

/// The hash so far: the eight working words `a` to `h`.
pub(super) type Words = [u32; 8];
/// What is hashed as one.
pub(super) type Block = [u8; BLOCK_BYTES];

/// The constants of the rounds (FIPS 180-4 §4.2.2).
#[rustfmt::skip]
const ROUND: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Whether the processor has what [`compress`] needs.
pub(super) fn is_possible() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")
}

/// Takes the blocks of each stream into its hash; as many of both as the shorter one has. Changes nothing where it [is not possible](is_possible):
/// `false`.
#[must_use = "`false` means that nothing was hashed"]
pub(super) fn compress(words: &mut [Words; LANES], blocks: [&[Block]; LANES]) -> bool {
    if !is_possible() {
        return false;
    }
    // SAFETY: the function asks for nothing but the processor's features, which were looked for just now.
    #[expect(unsafe_code, reason = "a function for certain processors, called on one of them")]
    unsafe {
        with_instructions(words, blocks);
    };
    true
}

/// Two registers of working words, as the instructions want them: the first word in the highest place.
#[derive(Clone, Copy)]
struct Lane {
    abef: __m128i,
    cdgh: __m128i,
}

// No closures below: one that is given to a function of the standard library, as to `map`, stays a call of its own there, since that function is
// compiled for processors without these instructions. It cost two thirds more.

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn with_instructions(words: &mut [Words; LANES], [left, right]: [&[Block]; LANES]) {
    let [first, second] = words;
    let (mut one, mut other) = (lane(first), lane(second));
    for (left, right) in left.iter().zip(right) {
        let before = (one, other);
        let (mut left, mut right) = (message(left), message(right));
        for (turn, constants) in ROUND.as_chunks::<{ WORDS * WORDS }>().0.iter().enumerate() {
            let constants = constants.as_chunks::<WORDS>().0;
            for at in 0..WORDS {
                if turn > 0 {
                    left[at] = next(&left, at);
                    right[at] = next(&right, at);
                }
                let constants =
                    register(constants[at][3], constants[at][2], constants[at][1], constants[at][0]);
                // In turns, instruction by instruction, so that one lane works while the other waits.
                let inputs = (_mm_add_epi32(left[at], constants), _mm_add_epi32(right[at], constants));
                // Two rounds each; what was a, b, e, f comes to be c, d, g, h.
                one.cdgh = _mm_sha256rnds2_epu32(one.cdgh, one.abef, inputs.0);
                other.cdgh = _mm_sha256rnds2_epu32(other.cdgh, other.abef, inputs.1);
                one.abef = _mm_sha256rnds2_epu32(one.abef, one.cdgh, _mm_shuffle_epi32(inputs.0, 0b1110));
                other.abef =
                    _mm_sha256rnds2_epu32(other.abef, other.cdgh, _mm_shuffle_epi32(inputs.1, 0b1110));
            }
        }
        (one, other) = (sum(one, before.0), sum(other, before.1));
    }
    (*first, *second) = (numbers(one), numbers(other));
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn sum(one: Lane, other: Lane) -> Lane {
    Lane { abef: _mm_add_epi32(one.abef, other.abef), cdgh: _mm_add_epi32(one.cdgh, other.cdgh) }
}

/// The next four words of the schedule, in the place of the oldest ones, which stand at `oldest`.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn next(message: &[__m128i; WORDS], oldest: usize) -> __m128i {
    let (third, last) = (message[(oldest + 2) % WORDS], message[(oldest + 3) % WORDS]);
    let early = _mm_sha256msg1_epu32(message[oldest], message[(oldest + 1) % WORDS]);
    _mm_sha256msg2_epu32(_mm_add_epi32(early, _mm_alignr_epi8(last, third, 4)), last)
}

/// The sixteen words of a block, which stand there with the highest byte first.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn message(block: &Block) -> [__m128i; WORDS] {
    let halves = block.as_chunks::<8>().0;
    [
        quarter(halves[0], halves[1]),
        quarter(halves[2], halves[3]),
        quarter(halves[4], halves[5]),
        quarter(halves[6], halves[7]),
    ]
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn quarter(low: [u8; 8], high: [u8; 8]) -> __m128i {
    let swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    _mm_shuffle_epi8(_mm_set_epi64x(i64::from_le_bytes(high), i64::from_le_bytes(low)), swap)
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn lane(words: &Words) -> Lane {
    Lane {
        abef: register(words[0], words[1], words[4], words[5]),
        cdgh: register(words[2], words[3], words[6], words[7]),
    }
}

/// Four words, the first in the highest place.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn register(first: u32, second: u32, third: u32, fourth: u32) -> __m128i {
    _mm_set_epi32(first.cast_signed(), second.cast_signed(), third.cast_signed(), fourth.cast_signed())
}

/// The working words of a lane, in their order.
#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn numbers(Lane { abef, cdgh }: Lane) -> Words {
    let (ab, ef) = (high(abef), low(abef));
    let (cd, gh) = (high(cdgh), low(cdgh));
    [ab.0, ab.1, cd.0, cd.1, ef.0, ef.1, gh.0, gh.1]
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn high(register: __m128i) -> (u32, u32) {
    (_mm_extract_epi32(register, 3).cast_unsigned(), _mm_extract_epi32(register, 2).cast_unsigned())
}

#[inline]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn low(register: __m128i) -> (u32, u32) {
    (_mm_extract_epi32(register, 1).cast_unsigned(), _mm_extract_epi32(register, 0).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks() -> impl Strategy<Value = Vec<Block>> {
        let block = prop::collection::vec(any::<u8>(), BLOCK_BYTES);
        prop::collection::vec(block.prop_map(|bytes| bytes.try_into().unwrap()), 0..6)
    }

    proptest! {
        #[test]
        fn both_come_to_what_each_comes_to_alone(words: [Words; LANES], left in blocks(), right in blocks()) {
            let mut together = words;
            if compress(&mut together, [&left, &right]) {
                let mut alone = words;
                let count = left.len().min(right.len());
                sha2::block_api::compress256(&mut alone[0], &left[..count]);
                sha2::block_api::compress256(&mut alone[1], &right[..count]);
                prop_assert_eq!(together, alone);
            } else {
                prop_assert!(!is_possible());
                prop_assert_eq!(together, words);
            }
        }
    }
}
