//! Digests as clients write them, computed here and not by the product.

use sha2::{Digest as _, Sha256, Sha512};
use std::fmt::Write as _;

/// The two digest algorithms of the image spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 64 hex digits.
    Sha256,
    /// 128 hex digits.
    Sha512,
}

impl Algorithm {
    /// Both, for tests that hold for each.
    pub const ALL: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

    /// Its name as digests begin with it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The digest of `bytes`.
    pub fn of(self, bytes: &[u8]) -> String {
        match self {
            Algorithm::Sha256 => sha256(bytes),
            Algorithm::Sha512 => sha512(bytes),
        }
    }

    /// A well-formed digest of nothing that any test pushes.
    pub fn unknown(self) -> String {
        let digits = match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        };
        format!("{}:{}", self.name(), "ab".repeat(digits / 2))
    }
}

/// `sha256:…` of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// `sha512:…` of `bytes`.
pub fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex(&Sha512::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
