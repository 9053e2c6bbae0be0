//! The digest of bytes in memory: manifests are checked on their way in, and by the checker.

use sha2::{Digest as _, Sha256, Sha512};
use strata_types::{Algorithm, Digest};

/// The digest that names `bytes`.
pub fn digest_of(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::Sha256(Sha256::digest(bytes).into()),
        Algorithm::Sha512 => Digest::Sha512(Sha512::digest(bytes).into()),
    }
}
