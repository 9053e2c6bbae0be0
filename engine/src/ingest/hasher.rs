//! The hash that names a blob, computed while it comes in, and its state as it stands in a session's record.
//!
//! The state's form is that of the `sha2` crate, which may change with the crate: every state carries a number for its form,
//! and one that is not known is not used (the stored bytes are hashed again).

#[cfg(target_arch = "x86_64")]
use super::pair::{self, BLOCK_BYTES};
use crate::meta::HashState;
use bytes::Bytes;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256, Sha512};
use strata_types::{Algorithm, Digest};

/// Form of a state of nothing hashed.
const FORM_NONE: u16 = 0;
/// Form of the SHA-256 state of `sha2` 0.11: 104 bytes.
const FORM_SHA256: u16 = 1;
/// Form of the SHA-512 state of `sha2` 0.11: 208 bytes.
const FORM_SHA512: u16 = 2;

/// A hash in the making.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.algorithm().name())
    }
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The same for two at once: where the processor can, in less time than one after the other.
    pub(crate) fn update_both([left, right]: [&mut Self; 2], [of_left, of_right]: [&[u8]; 2]) {
        #[cfg(target_arch = "x86_64")]
        if let (Self::Sha256(left), Self::Sha256(right)) = (&mut *left, &mut *right) {
            let (of_left, of_right) = pair_up([left, right], [of_left, of_right]);
            left.update(of_left);
            right.update(of_right);
            return;
        }
        left.update(of_left);
        right.update(of_right);
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::Sha256(hasher.finalize().into()),
            Self::Sha512(hasher) => Digest::Sha512(hasher.finalize().into()),
        }
    }

    /// The digest of `bytes`.
    pub(crate) fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The state for a session's record.
    pub(crate) fn export(&self) -> HashState {
        match self {
            Self::Sha256(hasher) => {
                HashState { form: FORM_SHA256, bytes: Bytes::copy_from_slice(&hasher.serialize()) }
            }
            Self::Sha512(hasher) => {
                HashState { form: FORM_SHA512, bytes: Bytes::copy_from_slice(&hasher.serialize()) }
            }
        }
    }

    /// Continues from a session's record; `None` where the state is of another form or does not decode.
    pub(crate) fn import(algorithm: Algorithm, state: &HashState) -> Option<Self> {
        match (algorithm, state.form) {
            (Algorithm::Sha256, FORM_SHA256) => {
                let state = SerializedState::<Sha256>::try_from(&*state.bytes).ok()?;
                Sha256::deserialize(&state).ok().map(Self::Sha256)
            }
            (Algorithm::Sha512, FORM_SHA512) => {
                let state = SerializedState::<Sha512>::try_from(&*state.bytes).ok()?;
                Sha512::deserialize(&state).ok().map(Self::Sha512)
            }
            _ => None,
        }
    }

    /// Whether a state says of itself that it is the hash over `len` bytes. One of a damaged row need not, and must not be used.
    pub(crate) fn covers(state: &HashState, len: u64) -> bool {
        // `docs/format.md`, 3.2: the words of the hash, how many blocks are in it, how many bytes wait for their block.
        let (blocks_at, count_bytes, block_bytes) = match state.form {
            FORM_SHA256 => (32, 8, 64),
            FORM_SHA512 => (64, 16, 128),
            _ => return false,
        };
        let Some(blocks) = state.bytes.get(blocks_at..blocks_at + count_bytes) else { return false };
        let Some(waiting) = state.bytes.get(blocks_at + count_bytes) else { return false };
        let blocks = blocks.iter().rev().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let whole = blocks.checked_mul(block_bytes);
        whole.and_then(|whole| whole.checked_add(u128::from(*waiting))) == Some(u128::from(len))
    }

    /// The state of a session that has nothing in a file.
    pub(crate) const fn no_state() -> HashState {
        HashState { form: FORM_NONE, bytes: Bytes::new() }
    }
}

/// Hashes what both have in whole blocks; what is left is the caller's.
#[cfg(target_arch = "x86_64")]
fn pair_up<'b>(hashers: [&mut Sha256; 2], bytes: [&'b [u8]; 2]) -> (&'b [u8], &'b [u8]) {
    let [left, right] = bytes.map(|bytes| bytes.as_chunks::<BLOCK_BYTES>().0);
    let count = left.len().min(right.len());
    let [state_of_left, state_of_right] = hashers.each_ref().map(|hasher| Sha256Blocks::of(hasher));
    if let (Some(mut first), Some(mut second)) = (state_of_left, state_of_right) {
        let mut words = [first.words, second.words];
        let blocks = [left.get(..count).unwrap_or_default(), right.get(..count).unwrap_or_default()];
        if pair::compress(&mut words, blocks) {
            [first.words, second.words] = words;
            first.count += count as u64;
            second.count += count as u64;
            let [left, right] = hashers;
            if let (Some(first), Some(second)) = (first.hasher(), second.hasher()) {
                (*left, *right) = (first, second);
                let rest = |bytes: &'b [u8]| bytes.get(count * BLOCK_BYTES..).unwrap_or_default();
                let [left, right] = bytes;
                return (rest(left), rest(right));
            }
        }
    }
    let [left, right] = bytes;
    (left, right)
}

/// The state of a hash between two blocks, in the form that [`FORM_SHA256`] names.
#[cfg(target_arch = "x86_64")]
struct Sha256Blocks {
    words: pair::Words,
    /// Blocks that are in it.
    count: u64,
}

#[cfg(target_arch = "x86_64")]
impl Sha256Blocks {
    /// `None` in the middle of a block.
    fn of(hasher: &Sha256) -> Option<Self> {
        let state = hasher.serialize();
        let (words, rest) = state.split_first_chunk::<32>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let (words, _) = words.as_chunks::<4>();
        let words = std::array::from_fn(|at| words.get(at).map_or(0, |word| u32::from_le_bytes(*word)));
        (*rest.first()? == 0).then(|| Self { words, count: u64::from_le_bytes(*count) })
    }

    fn hasher(&self) -> Option<Sha256> {
        let mut state = SerializedState::<Sha256>::default();
        let (words, rest) = state.split_first_chunk_mut::<32>()?;
        for (place, word) in words.as_chunks_mut::<4>().0.iter_mut().zip(self.words) {
            *place = word.to_le_bytes();
        }
        *rest.first_chunk_mut::<8>()? = self.count.to_le_bytes();
        Sha256::deserialize(&state).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_nothing_as_everybody_does() {
        assert_eq!(Hasher::digest(Algorithm::Sha256, b"").to_string(), EMPTY);
        let long = Hasher::digest(Algorithm::Sha512, b"abc").to_string();
        assert!(long.starts_with("sha512:ddaf35a193617abacc417349ae204131"), "{long}");
    }

    #[test]
    fn forms_of_states_do_not_change() {
        // Another serialization of the crate needs another form number: these bytes stand in data directories.
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(&[7; 70]);
        let state = hasher.export();
        let digest = Hasher::digest(Algorithm::Sha256, &state.bytes);
        assert_eq!((state.form, state.bytes.len()), (1, 104));
        assert_eq!(digest.hex(), "5762b36e9562bc37363a73d799a6d1d1f09bf8756b0080ab1ef7d41061ba6f46");
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(&[7; 140]);
        let state = hasher.export();
        let digest = Hasher::digest(Algorithm::Sha256, &state.bytes);
        assert_eq!((state.form, state.bytes.len()), (2, 208));
        assert_eq!(digest.hex(), "ceac322f78abf3a2300f9081e097098b8f0e8352e6c8e6d0ec09d65a24392deb");
    }

    #[test]
    fn a_state_of_another_form_is_not_used() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"some");
        let good = hasher.export();
        assert!(Hasher::import(Algorithm::Sha256, &good).is_some());
        assert!(Hasher::import(Algorithm::Sha512, &good).is_none());
        assert!(Hasher::import(Algorithm::Sha256, &HashState { form: 99, ..good.clone() }).is_none());
        assert!(
            Hasher::import(Algorithm::Sha256, &HashState { bytes: good.bytes.slice(1..), ..good }).is_none()
        );
        assert!(Hasher::import(Algorithm::Sha256, &Hasher::no_state()).is_none());
    }

    #[test]
    fn a_state_says_how_much_it_covers() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = Hasher::new(algorithm);
            for len in [0, 10, 138, 4096] {
                hasher.update(&vec![1; len]);
                let all =
                    [0, 10, 148, 4244][[0, 10, 138, 4096].iter().position(|step| *step == len).unwrap()];
                let state = hasher.export();
                assert!(Hasher::covers(&state, all));
                assert!(!Hasher::covers(&state, all + 64) && !Hasher::covers(&state, u64::MAX));
            }
            let mut huge = hasher.export().bytes.to_vec();
            huge[if algorithm == Algorithm::Sha256 { 39 } else { 79 }] = 0xff;
            assert!(!Hasher::covers(&HashState { bytes: huge.into(), ..hasher.export() }, 4244));
        }
        assert!(!Hasher::covers(&Hasher::no_state(), 0));
    }

    proptest! {
        #[test]
        fn two_at_once_come_to_what_each_comes_to_alone(
            fronts: [Vec<u8>; 2],
            bytes in prop::array::uniform2(prop::collection::vec(any::<u8>(), 0..1000)),
            backs: [Vec<u8>; 2],
            algorithms in prop::array::uniform2(prop::sample::select(vec![Algorithm::Sha256, Algorithm::Sha512])),
        ) {
            let mut hashers = algorithms.map(Hasher::new);
            // With nothing before them they begin at a block; with something, seldom.
            for aligned in [true, false] {
                if !aligned {
                    hashers.iter_mut().zip(&fronts).for_each(|(hasher, front)| hasher.update(front));
                }
                Hasher::update_both(hashers.each_mut(), bytes.each_ref().map(Vec::as_slice));
            }
            for ((mut hasher, algorithm), part) in hashers.into_iter().zip(algorithms).zip(0..) {
                let (front, bytes, back) = (&fronts[part], &bytes[part], &backs[part]);
                hasher.update(back);
                let all = [bytes.as_slice(), front, bytes, back].concat();
                prop_assert!(Hasher::covers(&hasher.export(), all.len() as u64));
                prop_assert_eq!(hasher.finish(), Hasher::digest(algorithm, &all));
            }
        }

        #[test]
        fn a_state_continues(front in prop::collection::vec(any::<u8>(), 0..300), back in prop::collection::vec(any::<u8>(), 0..300)) {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&front);
                let mut resumed = Hasher::import(algorithm, &hasher.export()).unwrap();
                resumed.update(&back);
                prop_assert_eq!(resumed.finish(), Hasher::digest(algorithm, &[front.as_slice(), &back].concat()));
            }
        }
    }
}
