//! Who asks.

use super::Gate;
use super::check::Checked;
use crate::access::{Challenge, TokenFault};
use crate::context::{Context, Identity, Principal, Scope};
use crate::directory::{KeyEntry, LastUse, Snapshot, State};
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use crate::token::{RefreshToken, VerifiedToken};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, Weak};
use strata_engine::UnixMillis;
use strata_engine::meta::Batch;

/// What came with a request to say who asks. Neither secrets nor tokens show in `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// Nothing.
    None,
    /// An access key.
    Basic {
        /// Its id.
        id: &'a str,
        /// Its secret.
        secret: &'a str,
    },
    /// A token.
    Bearer(&'a str),
    /// Something that is neither, or not in its form.
    Unreadable,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic",
            Self::Bearer(_) => "Bearer",
            Self::Unreadable => "Unreadable",
        })
    }
}

/// Bytes of the id of an access key. What a client gave for one is noted where it has that form, or there is such a key; anything else may be a
/// secret in the wrong place.
const KEY_ID_BYTES: usize = 20;

impl Registry {
    /// Who asks. In open mode everybody is [`Principal::Everyone`], whatever came.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`], without scopes, where the credentials are not right; [`RegistryError::TooManyAttempts`].
    pub async fn authenticate(
        &self,
        credentials: Credentials<'_>,
        remote: Option<IpAddr>,
        request_id: &Arc<str>,
    ) -> Result<Principal> {
        let Some(gate) = self.gate() else { return Ok(Principal::Everyone) };
        match credentials {
            Credentials::None => Ok(Principal::Anonymous { token: false }),
            Credentials::Unreadable => Err(refused()),
            Credentials::Bearer(text) => {
                let now = self.engine().now();
                let token = gate.tokens.verify(text, now).map_err(|error| {
                    tracing::debug!(request_id = &**request_id, %error, "a token was refused");
                    refused()
                })?;
                principal_of(&self.snapshot(), &token, now).ok_or_else(refused)
            }
            Credentials::Basic { id, secret } => {
                let hash = self.snapshot().key(id).map(|entry| entry.key.hash.clone());
                let checked = gate.secrets.check(id, secret, hash.as_ref(), remote).await?;
                let why = match checked {
                    // Asked anew: hashing took its time.
                    Checked::Right => match usable(&self.snapshot(), id, self.engine().now()) {
                        Some(entry) => return Ok(principal(&entry, self.engine().now())),
                        None => "disabled or expired",
                    },
                    Checked::Wrong => "unknown key or wrong secret",
                    Checked::TooMany { retry_after } => {
                        self.note_failure(gate, id, remote, request_id, "too many attempts");
                        return Err(RegistryError::TooManyAttempts { retry_after });
                    }
                };
                self.note_failure(gate, id, remote, request_id, why);
                Err(refused())
            }
        }
    }

    /// Who asks, where that is known without a look at a secret or a signature; for answers from memory. Never blocks.
    pub fn recall(&self, credentials: Credentials<'_>) -> Option<Principal> {
        let Some(gate) = self.gate() else { return Some(Principal::Everyone) };
        let now = self.engine().now();
        match credentials {
            Credentials::None => Some(Principal::Anonymous { token: false }),
            Credentials::Unreadable => None,
            Credentials::Bearer(text) => {
                let token = gate.tokens.recall(text, now)?;
                principal_of(&self.snapshot(), &token, now)
            }
            Credentials::Basic { id, secret } => {
                let snapshot = self.snapshot();
                let entry = usable(&snapshot, id, now)?;
                gate.secrets.recall(id, secret, &entry.key.hash).then(|| principal(&entry, now))
            }
        }
    }

    /// Who a refresh token was made for.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`], [`RegistryError::TooManyAttempts`]
    pub async fn authenticate_refresh(
        &self,
        text: &str,
        remote: Option<IpAddr>,
        request_id: &Arc<str>,
    ) -> Result<Principal> {
        /// Stands in for the secret of a key that is not there, so that this takes as long as for one that is.
        const NOBODY: [u8; 32] = [0; 32];
        let Some(gate) = self.gate() else { return Ok(Principal::Everyone) };
        let token = RefreshToken::parse(text);
        let id = token.as_ref().map_or("", RefreshToken::key);
        let (snapshot, now) = (self.snapshot(), self.engine().now());
        let entry = snapshot.key(id);
        let secret = entry.as_ref().map_or(NOBODY, |entry| entry.key.refresh_secret);
        let holds = token
            .as_ref()
            .is_some_and(|token| token.holds(&secret, now.0 / 1000, gate.refresh_life.as_secs()));
        if let Some(entry) = entry.filter(|entry| holds && is_usable(entry, now)) {
            return Ok(principal(&entry, now));
        }
        self.note_failure(gate, id, remote, request_id, "refresh token not valid");
        match gate.secrets.failed(id, remote) {
            Ok(()) => Err(refused()),
            Err(retry_after) => Err(RegistryError::TooManyAttempts { retry_after }),
        }
    }

    /// Writes into the events that somebody did not get in, for so many a minute. Nobody waits for it.
    fn note_failure(&self, gate: &Gate, id: &str, remote: Option<IpAddr>, request_id: &Arc<str>, why: &str) {
        let verdict = gate.notes.lock().unwrap_or_else(PoisonError::into_inner).count(self.engine().now());
        let has_form = id.len() == KEY_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let is_id = has_form || self.snapshot().key(id).is_some();
        let target = if is_id { id } else { "" };
        let from = remote.map(tracing::field::display);
        tracing::info!(key = target, remote = from, request_id = &**request_id, why, "a login failed");
        let ctx = Context {
            principal: Principal::Anonymous { token: false },
            request_id: Arc::clone(request_id),
            remote,
            scope: Scope::Private,
        };
        let left_out = (verdict.left_out > 0).then(|| {
            let result = format!("{} more of the last minute were not noted", verdict.left_out);
            ctx.event_detail_of("login", "", &result)
        });
        let own = verdict.is_noted.then(|| ctx.event_detail_of("login", target, &format!("failed: {why}")));
        for detail in left_out.into_iter().chain(own) {
            let mut batch = Batch::new(self.engine().now());
            batch.set_unsynced();
            batch.set_detail(detail);
            batch.note(None);
            let engine = self.engine().clone();
            tokio::spawn(async move {
                if let Err(error) = engine.commit(batch).await {
                    tracing::warn!(%error, "the failure of a login could not be noted");
                }
            });
        }
    }
}

fn refused() -> RegistryError {
    let challenge = Challenge { scopes: Vec::new(), why: Some(TokenFault::InvalidToken) };
    RegistryError::Unauthorized { challenge }
}

fn is_usable(entry: &KeyEntry<'_>, now: UnixMillis) -> bool {
    entry.account.state == State::Enabled && entry.key.is_usable(now)
}

/// The key of an id, if it can be used now.
fn usable<'s>(snapshot: &'s Snapshot, id: &str, now: UnixMillis) -> Option<KeyEntry<'s>> {
    snapshot.key(id).filter(|entry| is_usable(entry, now))
}

/// One who showed a key itself.
fn principal(entry: &KeyEntry<'_>, now: UnixMillis) -> Principal {
    entry.touch(now);
    Principal::Account(Arc::new(Identity {
        account: Arc::clone(&entry.account.name),
        key: Arc::clone(&entry.key.id),
        grants: Arc::clone(&entry.account.roles),
        narrowing: entry.key.narrowing.clone(),
        access: None,
    }))
}

/// Who a token was found to stand for, by one snapshot of the directory.
#[derive(Debug)]
pub(crate) struct Recognized {
    /// Weak, so that a token that is not used does not hold the directory of yesterday. It holds the place of it in memory, so that no other
    /// snapshot can be taken for it.
    by: Weak<Snapshot>,
    principal: Principal,
    /// When the key ends by itself.
    ends_at: Option<UnixMillis>,
    uses: Arc<LastUse>,
}

/// Who a token stands for now; `None` where that is nobody any more.
fn principal_of(snapshot: &Arc<Snapshot>, token: &VerifiedToken, now: UnixMillis) -> Option<Principal> {
    let Some(holder) = &token.holder else { return Some(Principal::Anonymous { token: true }) };
    // As long as the directory is the same, so is the answer.
    if let Some(known) = token.recognized.load().as_ref()
        && std::ptr::eq(known.by.as_ptr(), Arc::as_ptr(snapshot))
        && known.ends_at.is_none_or(|end| now < end)
    {
        known.uses.touch(now);
        return Some(known.principal.clone());
    }
    let entry = usable(snapshot, &holder.key, now)?;
    if *entry.account.name != *holder.account {
        return None;
    }
    entry.touch(now);
    let principal = Principal::Account(Arc::new(Identity {
        account: Arc::clone(&entry.account.name),
        key: Arc::clone(&entry.key.id),
        grants: Arc::clone(&entry.account.roles),
        narrowing: entry.key.narrowing.clone(),
        access: Some(Arc::clone(&token.access)),
    }));
    token.recognized.store(Some(Arc::new(Recognized {
        by: Arc::downgrade(snapshot),
        principal: principal.clone(),
        ends_at: entry.key.expires_at,
        uses: Arc::clone(entry.uses),
    })));
    Some(principal)
}
