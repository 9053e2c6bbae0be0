//! New keys: ids, secrets and hashes.

use super::account::{Key, State};
use super::keys::NewKey;
use crate::credential::hash_secret;
use crate::error::RegistryError;
use crate::registry::Result;
use crate::secret::Secret;
use std::sync::Arc;
use strata_engine::{Entropy, SystemEntropy, UnixMillis};

/// What every generated secret begins with, so that it is found where it does not belong.
pub(crate) const SECRET_PREFIX: &str = "strata_";
/// What every generated id begins with.
const ID_PREFIX: &str = "SK";
/// Characters of an id behind that: 90 bits, so that no two are alike.
const ID_LETTERS: usize = 18;
/// Fewest characters of a secret that somebody chose.
const CHOSEN_BYTES_MIN: usize = 32;
/// Most.
const CHOSEN_BYTES_MAX: usize = 256;

/// A key with its secret of 256 random bits. Takes as long as a hash.
pub(super) fn generate(new: NewKey, now: UnixMillis) -> Result<(Key, Secret)> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random: [u8; ID_LETTERS] = random()?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('A', char::from);
    let id: String = ID_PREFIX.chars().chain(random.into_iter().map(letter)).collect();
    let secret = Secret::new(format!("{SECRET_PREFIX}{}", base64url(&random_secret()?)));
    Ok((key(&id, &secret, new, now)?, secret))
}

/// A key whose id and secret somebody chose.
///
/// # Errors
/// [`RegistryError::FieldInvalid`]
pub(super) fn chosen(id: &str, secret: &Secret, new: NewKey, now: UnixMillis) -> Result<Key> {
    let is_id = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !(3..=64).contains(&id.len()) || !id.bytes().all(is_id) {
        let why = "the id of a key is made of 3 to 64 letters, digits and . _ -".to_owned();
        return Err(RegistryError::FieldInvalid { field: "id", why });
    }
    let text = secret.expose();
    if !(CHOSEN_BYTES_MIN..=CHOSEN_BYTES_MAX).contains(&text.len())
        || !text.bytes().all(|b| b.is_ascii_graphic())
    {
        let why = format!(
            "a secret has {CHOSEN_BYTES_MIN} to {CHOSEN_BYTES_MAX} characters of ASCII without spaces; make one with: openssl rand -hex 32"
        );
        return Err(RegistryError::FieldInvalid { field: "secret", why });
    }
    key(id, secret, new, now)
}

fn key(id: &str, secret: &Secret, new: NewKey, now: UnixMillis) -> Result<Key> {
    let hash = hash_secret(secret).map_err(|error| RegistryError::corrupt(error.to_string()))?;
    Ok(Key {
        id: id.into(),
        hash,
        refresh_secret: random_secret()?,
        state: State::Enabled,
        created_at: now,
        expires_at: new.expires_at,
        description: new.description,
        narrowing: new.narrowing.map(Arc::new),
    })
}

fn random_secret() -> Result<[u8; 32]> {
    random()
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemEntropy.fill(&mut bytes).map_err(RegistryError::store)?;
    Ok(bytes)
}

/// RFC 4648 §5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            let six = (word >> (18 - 6 * place)) & 63;
            text.extend(LETTERS.get(six as usize).copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::is_of;

    #[test]
    fn secrets_are_written_as_the_standard_says() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"\xff\xef\xbe", "_---"),
        ] {
            assert_eq!(base64url(bytes), text);
        }
        assert_eq!(base64url(&[0; 32]).len(), 43);
    }

    #[test]
    fn keys_differ_and_their_hashes_are_of_their_secrets() {
        let (one, secret) = generate(NewKey::default(), UnixMillis(1)).unwrap();
        let (two, other) = generate(NewKey::default(), UnixMillis(1)).unwrap();
        assert!(one.id != two.id && secret != other && one.refresh_secret != two.refresh_secret);
        let text = secret.expose();
        assert!(text.len() == 50 && text.starts_with("strata_"), "{}", text.len());
        assert!(one.id.len() == 20 && one.id.starts_with("SK"));
        assert!(is_of(&one.hash, text) && !is_of(&one.hash, other.expose()));
        assert!(!format!("{one:?}").contains("argon2"));
    }

    #[test]
    fn a_chosen_secret_is_long() {
        let make =
            |id: &str, secret: &str| chosen(id, &Secret::new(secret), NewKey::default(), UnixMillis(1));
        let long = "a".repeat(32);
        assert!(make("admin-key", &long).is_ok());
        for (id, secret) in
            [("", long.as_str()), ("a:b", &long), ("ab", &long), ("abc", "short"), ("abc", &"a b".repeat(20))]
        {
            assert!(make(id, secret).is_err(), "{id}");
        }
    }
}
