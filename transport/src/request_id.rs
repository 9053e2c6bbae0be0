//! The id of a request: the client's, where it sent a sane one, or a fresh one. Stands in the answer, the log and every error
//! that a use case logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The longest id that is taken over from a client.
const BYTES_MAX: usize = 128;

/// Makes request ids. One per process.
#[derive(Debug)]
pub struct RequestIds {
    next: AtomicU64,
}

impl RequestIds {
    /// `seed` should differ from start to start, so that the logs of two runs do not share ids.
    pub fn new(seed: u64) -> Self {
        Self { next: AtomicU64::new(seed) }
    }

    /// Takes over `given` if it is 1 to 128 of the characters `A-Z a-z 0-9 . _ - : / + =`, else makes an id.
    pub fn take(&self, given: Option<&[u8]>) -> Arc<str> {
        given.and_then(sane).map_or_else(|| self.fresh(), Arc::from)
    }

    /// 16 hexadecimal digits, never the same twice in 2^64 requests.
    fn fresh(&self) -> Arc<str> {
        let mut bits = scramble(self.next.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; 16];
        for digit in &mut digits {
            let nibble = u8::try_from(bits >> 60).unwrap_or_default();
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            bits <<= 4;
        }
        std::str::from_utf8(&digits).unwrap_or_default().into()
    }
}

/// The finisher of SplitMix64: a bijection, so distinct numbers stay distinct.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn sane(given: &[u8]) -> Option<&str> {
    let fits = (1..=BYTES_MAX).contains(&given.len())
        && given.iter().all(|b| b.is_ascii_alphanumeric() || b"._-:/+=".contains(b));
    if fits { std::str::from_utf8(given).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn takes_over_what_is_sane() {
        let ids = RequestIds::new(1);
        let longest = "a".repeat(BYTES_MAX);
        for given in ["a", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "Root=1-67891233-abcdef", longest.as_str()]
        {
            assert_eq!(&*ids.take(Some(given.as_bytes())), given);
        }
    }

    #[test]
    fn replaces_what_is_not() {
        let ids = RequestIds::new(1);
        let too_long = "a".repeat(BYTES_MAX + 1);
        for given in ["", "a b", "a\nb", "a\"b", "\u{1b}[31m", "ü", too_long.as_str()] {
            let id = ids.take(Some(given.as_bytes()));
            assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{given:?} became {id}");
        }
    }

    #[test]
    fn fresh_ones_differ() {
        let ids = RequestIds::new(u64::MAX - 500);
        let made: HashSet<_> = (0..1000).map(|_| ids.take(None)).collect();
        assert_eq!(made.len(), 1000);
    }
}
