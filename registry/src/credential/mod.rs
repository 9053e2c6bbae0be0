//! Credentials: the secrets that people and programs show.

#[allow(dead_code, reason = "hashes are made here and looked at by who authenticates")]
mod hash;

pub(crate) use hash::hash as hash_secret;
#[cfg(test)]
pub(crate) use hash::is_of;
