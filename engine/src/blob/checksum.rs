//! The whole-blob checksum that is kept beside the digest: fast to verify, and resumable at every block.
//!
//! `h(0) = 0`, `h(n+1) = xxh3_64(h(n) as 8 bytes LE, xxh3_64(block n) as 8 bytes LE)` over blocks of
//! [`CHECKSUM_BLOCK_BYTES`], the last one as long as it is; an empty blob has none. See
//! `docs/format.md`, "Checksums".

use crate::limits::CHECKSUM_BLOCK_BYTES;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// A checksum in the making.
pub(crate) struct Checksum {
    folded: u64,
    /// The block that is not complete yet, and how many bytes of it are in.
    block: Box<Xxh3Default>,
    block_bytes: usize,
}

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checksum")
            .field("folded", &self.folded)
            .field("block_bytes", &self.block_bytes)
            .finish()
    }
}

impl Checksum {
    /// The checksum of nothing.
    pub(crate) fn new() -> Self {
        Self::resume(0)
    }

    /// Continues behind a whole number of blocks whose checksum is `folded`.
    pub(crate) fn resume(folded: u64) -> Self {
        Self { folded, block: Box::new(Xxh3Default::new()), block_bytes: 0 }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.block_bytes == 0
                && let Some((block, rest)) = bytes.split_at_checked(CHECKSUM_BLOCK_BYTES)
            {
                // A block in one piece, which is nearly every one, needs no state.
                self.folded = fold(self.folded, xxh3_64(block));
                bytes = rest;
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(CHECKSUM_BLOCK_BYTES - self.block_bytes));
            self.block.update(part);
            self.block_bytes += part.len();
            if self.block_bytes == CHECKSUM_BLOCK_BYTES {
                self.folded = fold(self.folded, self.block.digest());
                self.block.reset();
                self.block_bytes = 0;
            }
            bytes = rest;
        }
    }

    /// The checksum of the complete blocks so far: what [`Checksum::resume`] takes.
    pub(crate) const fn folded(&self) -> u64 {
        self.folded
    }

    /// The checksum of all that was taken.
    pub(crate) fn finish(&self) -> u64 {
        if self.block_bytes == 0 { self.folded } else { fold(self.folded, self.block.digest()) }
    }
}

fn fold(folded: u64, block: u64) -> u64 {
    let [a, b, c, d, e, f, g, h] = folded.to_le_bytes();
    let [i, j, k, l, m, n, o, p] = block.to_le_bytes();
    xxh3_64(&[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
}

/// The checksum of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(CHECKSUM_BLOCK_BYTES).fold(0, |folded, block| fold(folded, xxh3_64(block)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_do_not_change() {
        assert_eq!((checksum(b""), Checksum::new().finish()), (0, 0));
        let block = xxh3_64(b"strata").to_le_bytes();
        assert_eq!(checksum(b"strata"), xxh3_64(&[[0; 8], block].concat()));
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2, "the published test value of XXH3");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn any_cut_into_pieces_gives_the_same(len in 0..9 * CHECKSUM_BLOCK_BYTES + 7, cuts in prop::collection::vec(1..20_000_usize, 0..9)) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 31 + n / 4096) as u8).collect();
            let mut parts = Checksum::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (part, behind) = rest.split_at(cut.min(rest.len()));
                parts.update(part);
                rest = behind;
            }
            parts.update(rest);
            prop_assert_eq!(parts.finish(), checksum(&bytes));
            let blocks = len / CHECKSUM_BLOCK_BYTES * CHECKSUM_BLOCK_BYTES;
            let mut resumed = Checksum::resume(parts.folded());
            resumed.update(&bytes[blocks..]);
            prop_assert_eq!(resumed.finish(), checksum(&bytes));
        }
    }
}
