//! Randomness as a port: ids that nobody may guess come from the kernel, in tests from a seed.

use crate::error::EngineError;
use std::fmt;

/// A source of random bytes.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with bytes that nobody outside can predict.
    ///
    /// # Errors
    /// [`EngineError::Io`] where the system gives none; nothing may then be named at random.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EngineError>;
}

/// The kernel's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EngineError> {
        getrandom::fill(buffer).map_err(|error| {
            EngineError::io("the system's random number generator", std::io::Error::other(error.to_string()))
        })
    }
}

/// A reproducible sequence (SplitMix64): the same seed gives the same bytes.
#[cfg(any(test, feature = "sim"))]
#[derive(Debug)]
pub struct SeededEntropy(std::sync::atomic::AtomicU64);

#[cfg(any(test, feature = "sim"))]
impl SeededEntropy {
    /// A sequence that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.into())
    }
}

#[cfg(any(test, feature = "sim"))]
impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EngineError> {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        for chunk in buffer.chunks_mut(8) {
            let mut word = self.0.fetch_add(STEP, std::sync::atomic::Ordering::SeqCst).wrapping_add(STEP);
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            for (to, from) in chunk.iter_mut().zip(word.to_le_bytes()) {
                *to = from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_the_system_does_not() {
        let bytes = |entropy: &dyn Entropy| {
            let mut buffer = [0; 19];
            entropy.fill(&mut buffer).unwrap();
            buffer
        };
        assert_eq!(bytes(&SeededEntropy::new(1)), bytes(&SeededEntropy::new(1)));
        assert_ne!(bytes(&SeededEntropy::new(1)), bytes(&SeededEntropy::new(2)));
        let seeded = SeededEntropy::new(1);
        assert_ne!(bytes(&seeded), bytes(&seeded));
        assert_ne!(bytes(&SystemEntropy), bytes(&SystemEntropy));
    }
}
