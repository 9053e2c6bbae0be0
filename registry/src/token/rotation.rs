//! The signing keys in the store, and changing them.

use super::{Keyring, SigningKey, SigningKeyError};
use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::Context;
use crate::directory::wait;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use bytes::Bytes;
use strata_engine::meta::{Batch, View};
use strata_engine::{Engine, UnixMillis};

/// What the settings of signing keys begin with; the key's id follows.
const ROWS: &[u8] = b"signing/";

/// More signing keys than there ever are: one signs, and those of the last twelve hours count.
const KEYS_MAX: usize = 1000;

/// A signing key, as far as it is anybody's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyDocument {
    /// Its id, the `kid` of its tokens.
    pub id: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When another took its place; its tokens count to their end. `None` for the one that signs.
    pub retired_at: Option<UnixMillis>,
}

/// What tokens of this store name as their issuer.
pub(crate) fn issuer(engine: &Engine) -> String {
    use std::fmt::Write as _;
    engine.identity().store_id.iter().fold("strata:".to_owned(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads the keys, and makes the first one where none signs. Blocks.
pub(crate) fn open_keyring(engine: &Engine) -> Result<Keyring> {
    let read = || -> Result<Keyring> {
        let view = engine.view().map_err(RegistryError::store)?;
        Ok(Keyring::new(rows(&view)?.into_iter().map(|(key, _)| key).collect()))
    };
    let keys = read()?;
    if keys.current().is_some() {
        return Ok(keys);
    }
    let now = engine.now();
    let key = SigningKey::generate(now).map_err(bad)?;
    let mut batch = Batch::new(now);
    batch.put_setting(&row(&key), key.to_row());
    wait(engine.commit(batch)).map_err(RegistryError::store)?;
    read()
}

/// The keys with their rows.
fn rows(view: &View) -> Result<Vec<(SigningKey, Bytes)>> {
    let rows = view.settings(ROWS, None, KEYS_MAX).map_err(RegistryError::store)?;
    rows.into_iter().map(|(_, row)| Ok((SigningKey::from_row(&row).map_err(bad)?, row))).collect()
}

fn row(key: &SigningKey) -> Vec<u8> {
    [ROWS, key.id().as_bytes()].concat()
}

fn bad(error: SigningKeyError) -> RegistryError {
    RegistryError::corrupt(error.to_string())
}

impl Registry {
    /// The signing keys, the newest first.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`]
    pub async fn signing_keys(&self, ctx: &Context) -> Result<Vec<SigningKeyDocument>> {
        self.authorize_instance(ctx, InstanceAction::Manage)?;
        let Some(gate) = self.gate() else { return Ok(Vec::new()) };
        Ok(gate.tokens.keys().keys().iter().map(document).collect())
    }

    /// Makes a new signing key. Tokens of the one before count to their end; keys whose tokens have all ended are removed.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`] also in open mode; the store's condition.
    pub async fn rotate_signing_key(&self, ctx: &Context) -> Result<SigningKeyDocument> {
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance("signing-key.rotate", ""))?;
        let Some(gate) = self.gate() else {
            let why = "this instance has no accounts and gives no tokens".to_owned();
            return Err(RegistryError::Denied { why });
        };
        let now = self.engine().now();
        let new = SigningKey::generate(now).map_err(bad)?;
        self.transact(ctx, |view, batch| {
            for (mut key, seen) in rows(view)? {
                batch.expect_setting(&row(&key), Some(seen));
                if key.is_honoured(now) {
                    if key.retired_at.is_none() {
                        key.retired_at = Some(now);
                        batch.put_setting(&row(&key), key.to_row());
                    }
                } else {
                    batch.delete_setting(&row(&key));
                }
            }
            batch.put_setting(&row(&new), new.to_row());
            batch.set_detail(ctx.event_detail_of("signing-key.rotate", new.id(), "done"));
            batch.note(None);
            Ok(())
        })
        .await?;
        gate.tokens
            .reload(|| Ok(Keyring::new(rows(&self.view()?)?.into_iter().map(|(key, _)| key).collect())))?;
        Ok(document(&new))
    }
}

fn document(key: &SigningKey) -> SigningKeyDocument {
    SigningKeyDocument { id: key.id().to_owned(), created_at: key.created_at, retired_at: key.retired_at }
}
