//! The key pairs that tokens are signed with: one that signs, and those before it for as long as their tokens may live.
//!
//! Ed25519. A row of a key is JSON under `signing/ID` of the settings: `{"created_at","retired_at"?,"pkcs8"}`, times in milliseconds
//! since 1970, the private key as PKCS #8 in Base64. Whoever can read the store can sign, as he can do anything else to it.

use super::{LEEWAY_SECONDS, LIFE_SECONDS_MAX};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use std::fmt;
use strata_engine::UnixMillis;

/// Bytes of a key's digest that its id is made of.
const ID_DIGEST_BYTES: usize = 12;

/// Why a key pair cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SigningKeyError {
    /// The system has no randomness to give.
    #[error("no key pair could be made: the system gives no random bytes")]
    NotMade,
    /// What is stored is no key pair.
    #[error("a stored signing key is not one")]
    NotStored,
}

/// A key pair. Displays and debugs without its private part.
#[derive(Clone)]
pub(crate) struct SigningKey {
    id: String,
    pub(crate) created_at: UnixMillis,
    /// When another one took its place.
    pub(crate) retired_at: Option<UnixMillis>,
    pkcs8: Vec<u8>,
    header: Header,
    signs: EncodingKey,
    verifies: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Row {
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<u64>,
    pkcs8: String,
}

impl SigningKey {
    /// A fresh pair.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub(crate) fn generate(now: UnixMillis) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| SigningKeyError::NotMade)?;
        let pkcs8 = pair.to_pkcs8().map_err(|_| SigningKeyError::NotMade)?;
        Self::of(pkcs8.as_ref().to_vec(), now, None)
    }

    fn of(
        pkcs8: Vec<u8>,
        created_at: UnixMillis,
        retired_at: Option<UnixMillis>,
    ) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| SigningKeyError::NotStored)?;
        let public = pair.public_key().as_ref();
        let id = digest(&SHA256, public);
        let id = URL_SAFE_NO_PAD.encode(id.as_ref().get(..ID_DIGEST_BYTES).unwrap_or_default());
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(id.clone());
        let (signs, verifies) = (EncodingKey::from_ed_der(&pkcs8), DecodingKey::from_ed_der(public));
        Ok(Self { id, created_at, retired_at, pkcs8, header, signs, verifies })
    }

    /// Reads the row of a key.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn from_row(row: &[u8]) -> Result<Self, SigningKeyError> {
        let row: Row = serde_json::from_slice(row).map_err(|_| SigningKeyError::NotStored)?;
        let pkcs8 = STANDARD.decode(&row.pkcs8).map_err(|_| SigningKeyError::NotStored)?;
        Self::of(pkcs8, UnixMillis(row.created_at), row.retired_at.map(UnixMillis))
    }

    /// Its row.
    pub(crate) fn to_row(&self) -> Bytes {
        let row = Row {
            created_at: self.created_at.0,
            retired_at: self.retired_at.map(|at| at.0),
            pkcs8: STANDARD.encode(&self.pkcs8),
        };
        // A struct of numbers and text has no way to fail.
        serde_json::to_vec(&row).unwrap_or_default().into()
    }

    /// Its id, made of the public key: the `kid` of its tokens.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The header of its tokens.
    pub(super) const fn header(&self) -> &Header {
        &self.header
    }

    pub(super) const fn signs(&self) -> &EncodingKey {
        &self.signs
    }

    pub(super) const fn verifies(&self) -> &DecodingKey {
        &self.verifies
    }

    /// Whether a token of it can still be valid.
    pub(crate) fn is_honoured(&self, now: UnixMillis) -> bool {
        let longest = (LIFE_SECONDS_MAX + LEEWAY_SECONDS) * 1000;
        self.retired_at.is_none_or(|retired_at| now.0 <= retired_at.0.saturating_add(longest))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .field("created_at", &self.created_at)
            .field("retired_at", &self.retired_at)
            .finish_non_exhaustive()
    }
}

/// All key pairs whose tokens count, the one that signs among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring {
    keys: Vec<SigningKey>,
}

impl Keyring {
    /// A ring of these keys.
    pub(crate) fn new(mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by_key(|key| std::cmp::Reverse(key.created_at));
        Self { keys }
    }

    /// The key that signs: the newest that none took the place of.
    pub(crate) fn current(&self) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.retired_at.is_none())
    }

    /// The key of an id, if its tokens still count.
    pub(crate) fn honoured(&self, id: &str, now: UnixMillis) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.id == id).filter(|key| key.is_honoured(now))
    }

    /// All of them, the newest first.
    pub(crate) fn keys(&self) -> &[SigningKey] {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_key() {
        let mut key = SigningKey::generate(UnixMillis(7)).unwrap();
        key.retired_at = Some(UnixMillis(9));
        let read = SigningKey::from_row(&key.to_row()).unwrap();
        assert_eq!((read.id(), read.created_at, read.retired_at), (key.id(), key.created_at, key.retired_at));
        assert_eq!(read.pkcs8, key.pkcs8);
        assert_eq!(key.id().len(), 16);
        let shown = format!("{key:?} {:?}", Keyring::new(vec![key.clone()]));
        assert!(!shown.contains("pkcs8") && !shown.contains(&format!("{:?}", key.pkcs8)), "{shown}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for row in ["", "{}", "null", r#"{"created_at":1,"pkcs8":""}"#, r#"{"created_at":1,"pkcs8":"AAAA"}"#]
        {
            assert_eq!(
                SigningKey::from_row(row.as_bytes()).unwrap_err(),
                SigningKeyError::NotStored,
                "{row}"
            );
        }
    }

    #[test]
    fn the_newest_signs_and_the_old_count_for_their_time() {
        let key = |at| SigningKey::generate(UnixMillis(at)).unwrap();
        let (mut old, new) = (key(1_000), key(2_000));
        old.retired_at = Some(UnixMillis(2_000));
        let ring = Keyring::new(vec![old.clone(), new.clone()]);
        assert_eq!(ring.current().unwrap().id(), new.id());
        let last = 2_000 + (LIFE_SECONDS_MAX + LEEWAY_SECONDS) * 1000;
        assert!(ring.honoured(old.id(), UnixMillis(last)).is_some());
        assert!(ring.honoured(old.id(), UnixMillis(last + 1)).is_none());
        assert!(ring.honoured(new.id(), UnixMillis(u64::MAX)).is_some());
        assert!(ring.honoured("another", UnixMillis(0)).is_none());
        assert!(Keyring::default().current().is_none());
    }
}
