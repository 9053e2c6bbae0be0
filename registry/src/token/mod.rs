//! Tokens: signed texts that say who asks and for what, so that a request costs no look at a secret.
//!
//! A token says which access key it was given for and what it may be used for at most. Who that is *now* (enabled? in which roles?) is
//! asked of the directory at every request: a token is never a reason to allow what its account may not do any more.

mod claims;
mod issue;
mod judge;
mod keyring;
mod refresh;
mod rotation;
mod scope;

pub use issue::IssuedToken;
pub use judge::TokenJudge;
pub(crate) use keyring::{Keyring, SigningKey, SigningKeyError};
pub(crate) use refresh::RefreshToken;
pub(crate) use refresh::issue as issue_refresh;
pub use rotation::SigningKeyDocument;
pub(crate) use rotation::{issuer, open_keyring};
pub use scope::{ScopeError, parse_scopes, scope_text};

use crate::access::Access;
use crate::credential::Recognized;
use crate::registry::Result;
use arc_swap::{ArcSwap, ArcSwapOption};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{Claims, ReadClaims};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use strata_engine::UnixMillis;

/// The longest that a token may live, whatever is set.
pub(crate) const LIFE_SECONDS_MAX: u64 = 12 * 60 * 60;

/// The shortest: clients count on it (distribution token specification, "expires_in").
pub(crate) const LIFE_SECONDS_MIN: u64 = 60;

/// By how much the clocks of two machines may differ.
pub(crate) const LEEWAY_SECONDS: u64 = 60;

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Bytes of tokens that are remembered as verified.
const KNOWN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// About what one remembered token takes.
const KNOWN_BYTES_EACH: u64 = 1024;

/// Why a text is no token of this registry. Signature, issuer and audience are judged before times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is longer than any of this registry")]
    TooLong,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is not signed in the way of this registry")]
    Algorithm,
    #[error("the token is signed with a key that this registry does not have, or no more")]
    KeyUnknown,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is of another registry")]
    Issuer,
    #[error("the token is for another service")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is from the future")]
    Early,
    #[error("the token lives longer than any of this registry")]
    LivesTooLong,
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The account.
    pub(crate) account: String,
    /// Its access key.
    pub(crate) key: String,
}

/// What a token says.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    /// `None` for a token of nobody.
    pub(crate) holder: Option<Holder>,
    /// What it may be used for at most.
    pub(crate) access: Arc<[Access]>,
    /// Seconds since 1970.
    expires_at: u64,
    starts_at: u64,
    signed_with: String,
    /// Who it was found to stand for last.
    pub(crate) recognized: ArcSwapOption<Recognized>,
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SignedToken {
    /// The token.
    pub(crate) text: String,
    /// How long it lives, seconds.
    pub(crate) life: u64,
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken").field("life", &self.life).finish_non_exhaustive()
    }
}

/// Makes and verifies tokens. One per registry.
#[derive(Debug)]
pub(crate) struct Tokens {
    issuer: String,
    audience: String,
    life: u64,
    validation: Validation,
    keys: ArcSwap<Keyring>,
    reloading: Mutex<()>,
    known: Cache<Box<str>, Arc<VerifiedToken>, Weigher>,
}

#[derive(Debug, Clone)]
struct Weigher;

impl Weighter<Box<str>, Arc<VerifiedToken>> for Weigher {
    fn weight(&self, text: &Box<str>, token: &Arc<VerifiedToken>) -> u64 {
        const BESIDE: usize = 256;
        const EACH_ACCESS: usize = 128;
        (text.len() + BESIDE + token.access.len() * EACH_ACCESS) as u64
    }
}

impl Tokens {
    /// Tokens of the store `issuer` for the service `audience`, which live `life` seconds, within the limits.
    pub(crate) fn new(issuer: String, audience: String, life: u64, keys: Keyring) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times are judged here, by the clock of the store.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        let entries = usize::try_from(KNOWN_BYTES_MAX / KNOWN_BYTES_EACH).unwrap_or(usize::MAX);
        Self {
            issuer,
            audience,
            life: life.clamp(LIFE_SECONDS_MIN, LIFE_SECONDS_MAX),
            validation,
            keys: ArcSwap::from_pointee(keys),
            reloading: Mutex::new(()),
            known: Cache::with_weighter(entries, KNOWN_BYTES_MAX, Weigher),
        }
    }

    /// The service that its tokens are for.
    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Arc<Keyring> {
        self.keys.load_full()
    }

    /// From now on the keys count that `read` finds.
    ///
    /// RACE: two changes commit one after the other, and may come here the other way round. Each reads what is stored while the
    /// other cannot, so the last one has read both.
    ///
    /// # Errors
    /// What `read` says; the keys stay as they are.
    pub(crate) fn reload(&self, read: impl FnOnce() -> Result<Keyring>) -> Result<()> {
        let _turn = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.keys.store(Arc::new(read()?));
        Ok(())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// There is no key to sign with, or no randomness.
    pub(crate) fn sign(
        &self,
        holder: Option<&Holder>,
        access: &[Access],
        now: UnixMillis,
    ) -> std::result::Result<SignedToken, SigningKeyError> {
        let keys = self.keys.load();
        let key = keys.current().ok_or(SigningKeyError::NotStored)?;
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| SigningKeyError::NotMade)?;
        let now = now.0 / 1000;
        let claims = Claims {
            iss: &self.issuer,
            sub: holder.map_or("", |holder| &holder.account),
            aud: &self.audience,
            exp: now + self.life,
            nbf: now,
            iat: now,
            jti: &URL_SAFE_NO_PAD.encode(id),
            key: holder.map_or("", |holder| &holder.key),
            access,
        };
        let text = jsonwebtoken::encode(key.header(), &claims, key.signs());
        Ok(SignedToken { text: text.map_err(|_| SigningKeyError::NotStored)?, life: self.life })
    }

    /// What a token says that was verified before; `None` where it was not, or counts no more. Blocks on nothing.
    pub(crate) fn recall(&self, text: &str, now: UnixMillis) -> Option<Arc<VerifiedToken>> {
        let token = self.known.get(text)?;
        let counts = self.keys.load().honoured(&token.signed_with, now).is_some()
            && judge_times(token.starts_at, token.expires_at, now).is_ok();
        if counts {
            return Some(token);
        }
        self.known.remove(text);
        None
    }

    /// What a token says.
    ///
    /// # Errors
    /// [`TokenError`] where it does not count.
    pub(crate) fn verify(
        &self,
        text: &str,
        now: UnixMillis,
    ) -> std::result::Result<Arc<VerifiedToken>, TokenError> {
        if let Some(token) = self.recall(text, now) {
            return Ok(token);
        }
        let token = Arc::new(self.read(text, now)?);
        self.known.insert(text.into(), Arc::clone(&token));
        Ok(token)
    }

    fn read(&self, text: &str, now: UnixMillis) -> std::result::Result<VerifiedToken, TokenError> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|error| meaning(error.kind()))?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::Algorithm);
        }
        let keys = self.keys.load();
        let id = header.kid.ok_or(TokenError::KeyUnknown)?;
        let key = keys.honoured(&id, now).ok_or(TokenError::KeyUnknown)?;
        let read = jsonwebtoken::decode::<ReadClaims>(text, key.verifies(), &self.validation);
        let claims = read.map_err(|error| meaning(error.kind()))?.claims;
        let starts_at = claims.nbf.max(claims.iat);
        if claims.exp.saturating_sub(claims.iat) > LIFE_SECONDS_MAX {
            return Err(TokenError::LivesTooLong);
        }
        judge_times(starts_at, claims.exp, now)?;
        let holder = match (claims.sub.is_empty(), claims.key.is_empty()) {
            (true, true) => None,
            (false, false) => Some(Holder { account: claims.sub, key: claims.key }),
            _ => return Err(TokenError::Malformed),
        };
        Ok(VerifiedToken {
            holder,
            access: claims.access.into(),
            expires_at: claims.exp,
            starts_at,
            signed_with: id,
            recognized: ArcSwapOption::empty(),
        })
    }
}

/// Whether a token counts at this time; all but `now` in seconds since 1970.
fn judge_times(starts_at: u64, expires_at: u64, now: UnixMillis) -> std::result::Result<(), TokenError> {
    let now = now.0 / 1000;
    if expires_at.saturating_add(LEEWAY_SECONDS) <= now {
        return Err(TokenError::Expired);
    }
    if starts_at > now.saturating_add(LEEWAY_SECONDS) {
        return Err(TokenError::Early);
    }
    Ok(())
}

fn meaning(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Algorithm,
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;
