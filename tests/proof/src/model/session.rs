//! Upload sessions, as their clients remember them.

use super::run::{Model, body};
use super::step::Step;
use crate::universe::{self, BLOBS, REPOSITORIES};
use bytes::Bytes;
use strata_registry::RegistryError;
use strata_types::{Algorithm, UploadId};

/// Sessions that are open at a time.
const SESSIONS_MAX: usize = 4;
/// How much of the event log housekeeping leaves.
const LOG_KEPT_MILLIS: u64 = 45 * 60 * 1000;

/// A session as its client remembers it.
#[derive(Debug)]
pub(super) struct Session {
    id: UploadId,
    repository: usize,
    /// The blob that it is on its way to.
    blob: usize,
    /// What the store said last that it holds, bytes.
    offset: u64,
    /// When it may be removed.
    expires_at: u64,
}

impl Session {
    /// The repository that it is in.
    pub(super) const fn repository(&self) -> usize {
        self.repository
    }
}

impl Model {
    pub(super) fn session_step(&mut self, step: Step) {
        match step {
            Step::Start { repository, blob } => self.start(repository % REPOSITORIES, blob % BLOBS),
            Step::Append { session, thirds } => {
                if let Some(at) = self.session(session) {
                    self.append(at, thirds);
                }
            }
            Step::Finish { session, wrong } => {
                if let Some(at) = self.session(session) {
                    self.finish_session(at, wrong);
                }
            }
            Step::Cancel { session } => {
                if let Some(at) = self.session(session) {
                    self.cancel(at);
                }
            }
            _ => {}
        }
    }

    fn session(&self, number: usize) -> Option<usize> {
        (!self.sessions.is_empty()).then(|| number % self.sessions.len())
    }

    /// Where a session leads to: the repository and the blob.
    pub(super) fn target(&self, number: usize) -> Option<(usize, usize)> {
        let session = self.sessions.get(self.session(number)?)?;
        Some((session.repository, session.blob))
    }

    fn expiry(&self) -> u64 {
        self.now() + self.world.config.upload_expiry.as_millis() as u64
    }

    fn start(&mut self, repository: usize, blob: usize) {
        if self.sessions.len() == SESSIONS_MAX {
            return;
        }
        let (registry, name) = (self.registry(), universe::repository(repository));
        match self.runtime.block_on(registry.start_upload(&self.ctx, &name, Algorithm::Sha256)) {
            Ok(status) => {
                assert_eq!(status.offset, 0);
                let expires_at = self.expiry();
                self.sessions.push(Session { id: status.id, repository, blob, offset: 0, expires_at });
            }
            Err(error) => assert!(self.excused(&error)),
        }
    }

    fn append(&mut self, at: usize, thirds: usize) {
        let session = &self.sessions[at];
        let (registry, name, id) = (self.registry(), universe::repository(session.repository), session.id);
        let rest = universe::content(session.blob).slice(session.offset as usize..);
        let part = rest.slice(..rest.len() * thirds / 3);
        let sent = session.offset + part.len() as u64;
        match self.runtime.block_on(registry.append_upload(&self.ctx, &name, &id, None, body(&part))) {
            Ok(status) => {
                assert_eq!(status.offset, sent, "what was sent is held");
                let expires_at = self.expiry();
                let session = &mut self.sessions[at];
                session.offset = sent;
                session.expires_at = expires_at;
            }
            Err(RegistryError::UploadUnknown { .. }) => self.forget(at),
            Err(error) => {
                assert!(self.excused(&error));
                self.ask(at, sent);
            }
        }
    }

    fn finish_session(&mut self, at: usize, wrong: bool) {
        let session = &self.sessions[at];
        let (registry, name, id) = (self.registry(), universe::repository(session.repository), session.id);
        let content = universe::content(session.blob);
        let rest = content.slice(session.offset as usize..);
        let said = universe::blob(if wrong { session.blob + 1 } else { session.blob });
        let done =
            self.runtime.block_on(registry.finish_upload(&self.ctx, &name, &id, None, body(&rest), &said));
        match done {
            Ok(_) => {
                assert!(!wrong, "bytes under a digest that is not theirs");
                let session = self.sessions.remove(at);
                let now = self.now();
                self.oracle.shelves[session.repository].link(session.blob, now);
            }
            Err(RegistryError::DigestMismatch { .. }) => {
                assert!(wrong, "the bytes are not what was sent");
                self.sessions.remove(at);
            }
            Err(RegistryError::UploadUnknown { .. }) => self.forget(at),
            Err(error) => {
                assert!(self.excused(&error));
                self.ask(at, content.len() as u64);
            }
        }
    }

    fn cancel(&mut self, at: usize) {
        let session = &self.sessions[at];
        let (registry, name) = (self.registry(), universe::repository(session.repository));
        match self.runtime.block_on(registry.cancel_upload(&self.ctx, &name, &session.id)) {
            Ok(()) => drop(self.sessions.remove(at)),
            Err(RegistryError::UploadUnknown { .. }) => self.forget(at),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    /// A session is unknown: it has expired, or the disk failed under it.
    fn forget(&mut self, at: usize) {
        let session = self.sessions.remove(at);
        assert!(session.expires_at <= self.now() || self.faulty, "a session is gone: {session:?}");
    }

    /// Asks what a session holds after a request on it failed: no less than before, no more than was sent.
    fn ask(&mut self, at: usize, sent: u64) {
        let session = &self.sessions[at];
        let (registry, name) = (self.registry(), universe::repository(session.repository));
        match self.runtime.block_on(registry.upload_status(&self.ctx, &name, &session.id)) {
            Ok(status) => {
                let session = &mut self.sessions[at];
                assert!((session.offset..=sent).contains(&status.offset), "{} of {session:?}", status.offset);
                session.offset = status.offset;
                let expires_at = self.expiry();
                self.sessions[at].expires_at = expires_at;
            }
            Err(RegistryError::UploadUnknown { .. }) => self.forget(at),
            Err(error) => assert!(self.excused(&error)),
        }
    }

    /// Sessions that have expired go; the others stay.
    pub(super) fn housekeep(&mut self) {
        let engine = self.engine();
        match self.runtime.block_on(engine.expire_uploads()) {
            Ok(_) => {
                let now = self.now();
                self.sessions_expire(now);
            }
            Err(error) => assert!(self.faulty, "{error}"),
        }
        // The front of the log goes, of which the model knows nothing: all else stays as it is.
        let before = strata_engine::UnixMillis(self.now().saturating_sub(LOG_KEPT_MILLIS));
        if let Err(error) = self.runtime.block_on(engine.trim_events(before, 20)) {
            assert!(self.faulty, "{error}");
        }
    }

    pub(super) fn sessions_expire(&mut self, now: u64) {
        self.sessions.retain(|session| session.expires_at > now);
    }

    /// What is left of the sessions after a start. A power cut takes what was not synced, and a kill nothing.
    pub(super) fn remember(&mut self, after_power_cut: bool) {
        let (registry, now) = (self.registry(), self.now());
        let mut kept = Vec::new();
        for mut session in std::mem::take(&mut self.sessions) {
            let name = universe::repository(session.repository);
            match self.runtime.block_on(registry.upload_status(&self.ctx, &name, &session.id)) {
                Ok(status) => {
                    let held = if after_power_cut { 0..=session.offset } else { session.offset..=u64::MAX };
                    assert!(held.contains(&status.offset), "{} of {session:?}", status.offset);
                    session.offset = status.offset;
                    // What prolonged it may not have been synced.
                    let row = self.engine().view().expect("it is open").upload(&session.id).expect("rows");
                    session.expires_at = row.map_or(now, |row| row.expires_at.0);
                    kept.push(session);
                }
                Err(RegistryError::UploadUnknown { .. }) => {
                    assert!(session.expires_at <= now || after_power_cut, "a session is gone: {session:?}");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        self.sessions = kept;
    }

    /// Brings all sessions to their end.
    pub(super) fn end_sessions(&mut self) {
        while !self.sessions.is_empty() {
            self.finish_session(0, false);
        }
    }

    /// Reads a blob of a repository whole.
    pub(super) fn read(&self, of: usize, blob: usize) -> Result<Bytes, RegistryError> {
        let (registry, name, digest) = (self.registry(), universe::repository(of), universe::blob(blob));
        self.runtime.block_on(async {
            let read = registry.open_blob(&self.ctx, &name, &digest).await?;
            match read.body {
                strata_registry::BlobBody::Bytes(bytes) => Ok(bytes),
                strata_registry::BlobBody::File(file) => {
                    let mut whole = Vec::new();
                    while (whole.len() as u64) < file.len() {
                        let part = file.read_at(whole.len() as u64, 300_000).await;
                        let part = part.map_err(|error| {
                            RegistryError::Internal(strata_engine::EngineError::io("read", error))
                        })?;
                        whole.extend_from_slice(&part);
                    }
                    Ok(whole.into())
                }
            }
        })
    }
}
