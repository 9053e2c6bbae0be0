//! What a token says (distribution token specification, "JWT"), and reading it back.

use crate::access::Access;
use serde::{Deserialize, Serialize};

/// The claims of a token as they stand in it.
#[derive(Debug, Serialize)]
pub(super) struct Claims<'a> {
    /// The store that made it.
    pub(super) iss: &'a str,
    /// The account; empty for nobody.
    pub(super) sub: &'a str,
    /// The service that it is for.
    pub(super) aud: &'a str,
    /// Seconds since 1970, as all times.
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) iat: u64,
    pub(super) jti: &'a str,
    /// The access key that it was given for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) key: &'a str,
    pub(super) access: &'a [Access],
}

/// What is read of a token. Issuer and audience are compared before, and not looked at here.
#[derive(Debug, Deserialize)]
pub(super) struct ReadClaims {
    pub(super) sub: String,
    pub(super) exp: u64,
    pub(super) nbf: u64,
    pub(super) iat: u64,
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) access: Vec<Access>,
}
