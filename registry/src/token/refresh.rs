//! Refresh tokens: what a client keeps in place of a secret, and trades for tokens.
//!
//! Nothing of them is stored: each names its access key and when it was made, under a MAC with a secret that only that key's row
//! has. So a refresh token outlives the rotation of signing keys, and dies with its access key.
//!
//! Text: `strata_refresh_` and, in Base64 for URLs, `version u8 = 1 | made at, seconds since 1970, u64 big-endian | id of the access key |
//! HMAC-SHA256 of all before it`.

use super::LEEWAY_SECONDS;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What every refresh token begins with: people and scanners of leaked secrets know it by that.
const PREFIX: &str = "strata_refresh_";

/// What the MAC is made over begins with this, so that no other use of the secret makes the same.
const DOMAIN: &[u8] = b"strata refresh token";

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;
const MAC_BYTES: usize = 32;

/// Longest text that is looked at.
const TEXT_BYTES_MAX: usize = 512;

/// Makes one for the access key `key`, at `now` seconds since 1970.
pub(crate) fn issue(key: &str, secret: &[u8; 32], now: u64) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(now.to_be_bytes());
    bytes.extend(key.as_bytes());
    let mac = mac(secret, &bytes);
    bytes.extend(mac.as_ref());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A refresh token that was read and not judged.
#[derive(Debug)]
pub(crate) struct RefreshToken {
    bytes: Vec<u8>,
    made_at: u64,
    key: String,
}

impl RefreshToken {
    /// Takes a text apart; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= TEXT_BYTES_MAX)?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let signed = bytes.get(..bytes.len().checked_sub(MAC_BYTES)?)?;
        let (head, key) = signed.split_first_chunk::<HEAD_BYTES>()?;
        let (version, made_at) = head.split_first()?;
        let made_at = u64::from_be_bytes(made_at.try_into().ok()?);
        let key = std::str::from_utf8(key).ok().filter(|key| !key.is_empty())?.to_owned();
        (*version == VERSION).then_some(Self { bytes, made_at, key })
    }

    /// The id of the access key that it names.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it was made with this secret and is not too old; both in seconds. The MAC is compared in constant time.
    pub(crate) fn holds(&self, secret: &[u8; 32], now: u64, life: u64) -> bool {
        let (signed, mac) = self.bytes.split_at(self.bytes.len().saturating_sub(MAC_BYTES));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let is_ours = hmac::verify(&key, &[DOMAIN, signed].concat(), mac).is_ok();
        let is_young =
            self.made_at <= now.saturating_add(LEEWAY_SECONDS) && now <= self.made_at.saturating_add(life);
        is_ours && is_young
    }
}

fn mac(secret: &[u8; 32], signed: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), &[DOMAIN, signed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIFE: u64 = 1000;

    #[test]
    fn lives_its_time_with_its_key() {
        let text = issue("SK234", &[1; 32], 5000);
        let token = RefreshToken::parse(&text).unwrap();
        assert_eq!(token.key(), "SK234");
        for (secret, now, holds) in [
            ([1; 32], 5000, true),
            ([1; 32], 6000, true),
            ([1; 32], 6001, false),
            ([1; 32], 5000 - LEEWAY_SECONDS, true),
            ([1; 32], 5000 - LEEWAY_SECONDS - 1, false),
            ([2; 32], 5000, false),
        ] {
            assert_eq!(token.holds(&secret, now, LIFE), holds, "{now}");
        }
    }

    #[test]
    fn what_was_changed_is_none() {
        let text = issue("SK234", &[1; 32], 5000);
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&changed));
            let holds = RefreshToken::parse(&changed).is_some_and(|token| token.holds(&[1; 32], 5000, LIFE));
            assert!(!holds, "byte {at}");
        }
        for cut in 0..text.len() {
            let cut = RefreshToken::parse(&text[..cut]);
            assert!(!cut.is_some_and(|token| token.holds(&[1; 32], 5000, LIFE)));
        }
        assert!(RefreshToken::parse(&format!("{PREFIX}{}", "A".repeat(100_000))).is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(strata_refresh_)?.{0,99}", bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let encoded = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
            for text in [text, encoded] {
                let holds = RefreshToken::parse(&text).is_some_and(|token| token.holds(&[1; 32], 5000, LIFE));
                prop_assert!(!holds);
            }
        }

        #[test]
        fn what_was_made_is_read(key in "SK[A-Z2-7]{18}", now in 0..1_u64 << 40) {
            let token = RefreshToken::parse(&issue(&key, &[3; 32], now)).unwrap();
            prop_assert_eq!(token.key(), &key);
            prop_assert!(token.holds(&[3; 32], now, 0));
        }
    }
}
