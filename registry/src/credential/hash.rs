//! Hashes of secrets: argon2id, as PHC strings.

use crate::secret::Secret;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::rand;

/// What one hash costs. A secret has 256 random bits, which nobody tries through; the cost is for one that somebody chose.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// The system gives no random bytes, or a secret is too long to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret cannot be hashed")]
pub(crate) struct HashError;

/// Hashes a secret under a fresh salt. Takes some ten milliseconds and 19 MiB of memory.
///
/// # Errors
/// [`HashError`]
pub(crate) fn hash(secret: &Secret) -> Result<Secret, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError)?;
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| HashError)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(secret.expose().as_bytes(), &salt).map_err(|_| HashError)?;
    Ok(Secret::new(hash.to_string()))
}

/// Whether the hash is of the secret; `false` also for what is no hash. Takes as long as hashing.
pub(crate) fn is_of(hash: &Secret, secret: &str) -> bool {
    Argon2::default().verify_password(secret.as_bytes(), hash.expose()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_secret_alone() {
        let secret = Secret::new("strata_0123456789");
        let (one, two) = (hash(&secret).unwrap(), hash(&secret).unwrap());
        assert!(one.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.expose());
        assert_ne!(one, two, "salted");
        assert!(is_of(&one, secret.expose()) && is_of(&two, secret.expose()));
        for other in ["", "strata_012345678", "strata_0123456780", one.expose()] {
            assert!(!is_of(&one, other), "{other}");
        }
        for none in ["", "$", "$argon2id$v=19$m=19456,t=2,p=1$", "plain"] {
            assert!(!is_of(&Secret::new(none), ""), "{none}");
        }
    }
}
