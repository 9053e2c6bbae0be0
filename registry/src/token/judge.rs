//! Judges tokens without a registry: public for the fuzz targets.

use super::{Holder, Keyring, LIFE_SECONDS_MIN, RefreshToken, SigningKey, SigningKeyError, Tokens};
use crate::access::{Access, Actions};
use strata_engine::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// Verifies tokens of a store that there is not, at a moment that never passes.
#[derive(Debug)]
pub struct TokenJudge {
    tokens: Tokens,
    good: String,
}

impl TokenJudge {
    /// Makes a key and signs one token with it; `None` where the system gives no random bytes.
    pub fn new() -> Option<Self> {
        let judge = || -> Result<Self, SigningKeyError> {
            let keys = Keyring::new(vec![SigningKey::generate(NOW)?]);
            let tokens = Tokens::new("a store".into(), "a service".into(), LIFE_SECONDS_MIN, keys);
            let holder = Holder { account: "ann".into(), key: "SKAAAAAAAAAAAAAAAAAA".into() };
            let access = [Access::repository("a/b", Actions::PULL)];
            let good = tokens.sign(Some(&holder), &access, NOW)?.text;
            Ok(Self { tokens, good })
        };
        judge().ok()
    }

    /// The token that was signed.
    pub fn good(&self) -> &str {
        &self.good
    }

    /// Whether the text is taken for a token, as a request would have it.
    pub fn takes(&self, text: &str) -> bool {
        self.tokens.verify(text, NOW).is_ok()
    }

    /// Whether the text is remembered as a token.
    pub fn remembers(&self, text: &str) -> bool {
        self.tokens.recall(text, NOW).is_some()
    }

    /// Whether the text is taken for a refresh token.
    pub fn takes_refresh(&self, text: &str) -> bool {
        RefreshToken::parse(text).is_some_and(|token| token.holds(&[7; 32], NOW.0 / 1000, u64::MAX / 2))
    }
}
