//! Credentials: from what came with a request to who asks.
//!
//! A token says what was found out when it was made and is believed in that alone; whether its account and key can still be used, and in
//! which roles, is what the directory says now. So a change of them counts from the next request on, and no request reads the store.

mod authenticate;
mod check;
mod hash;
mod notes;
mod throttle;
mod verdict;

pub use authenticate::Credentials;
pub(crate) use authenticate::Recognized;
pub(crate) use hash::hash as hash_secret;
#[cfg(test)]
pub(crate) use hash::is_of;

use crate::config::AuthConfig;
use crate::registry::Result;
use crate::secret::Secret;
use crate::token::Tokens;
use aws_lc_rs::rand;
use check::SecretChecks;
use notes::NotesOfAMinute;
use std::sync::Mutex;
use std::time::Duration;
use strata_engine::Engine;

/// All that judges credentials; there is none in open mode, where nobody needs any.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) tokens: Tokens,
    secrets: SecretChecks,
    notes: Mutex<NotesOfAMinute>,
    pub(crate) refresh_life: Duration,
}

impl Gate {
    /// Reads the signing keys from the store, and makes the first one. Blocks.
    ///
    /// # Errors
    /// The store's condition; a stored key that is none.
    pub(crate) fn open(engine: &Engine, config: &AuthConfig) -> Result<Self> {
        let keys = crate::token::open_keyring(engine)?;
        let issuer = crate::token::issuer(engine);
        let tokens = Tokens::new(issuer, config.service.clone(), config.token_life.as_secs(), keys);
        let mut nobody_knows = [0; 32];
        let stand_in = rand::fill(&mut nobody_knows).ok().and_then(|()| {
            let text: String = nobody_knows.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
            hash_secret(&Secret::new(text)).ok()
        });
        let stand_in = stand_in.ok_or_else(|| {
            crate::error::RegistryError::corrupt("the system gives no random bytes".to_owned())
        })?;
        Ok(Self {
            tokens,
            secrets: SecretChecks::new(stand_in),
            notes: Mutex::default(),
            refresh_life: config.refresh_life,
        })
    }

    /// Secrets hashed so far, to be compared.
    pub(crate) fn hashes(&self) -> u64 {
        self.secrets.runs()
    }
}

#[cfg(test)]
mod tests;
