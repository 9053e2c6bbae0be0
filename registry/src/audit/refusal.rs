//! What was tried and refused: pushes and deletions by those who may not or for which there is no room, and changes of the instance by
//! those who do not manage it.
//!
//! A refusal costs the one who asks nothing but a place in memory, and never writes: what is alike is gathered, and a task of its own writes
//! what came together, so many entries a minute. So nobody fills the store by being refused. Those who show no credentials are asked for
//! some, which is no refusal and is not told.

use crate::access::Action;
use crate::context::{Context, Principal};
use crate::error::RegistryError;
use crate::registry::{Registry, Result, WeakRegistry};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use strata_engine::UnixMillis;
use strata_engine::meta::Batch;
use strata_types::{Digest, Reference, RepositoryName, Tag};

/// How long refusals that are alike are gathered.
const WINDOW: Duration = Duration::from_secs(2);
/// Most kinds of refusals that are gathered at a time; of others it is only counted that they were.
const KINDS_MAX: usize = 256;
/// Most of them by one account, or from one address without one.
const KINDS_PER_ASKER_MAX: usize = 32;
/// Most entries that are written in a minute. What is left waits, and goes on to be gathered.
const ENTRIES_PER_MINUTE: usize = 60;
const MINUTE_MILLIS: u64 = 60_000;
/// How far the time of an entry may be behind those before it in the log, which is read by time.
const LATE_MAX: Duration = Duration::from_secs(30);
/// Longest target that is told, bytes.
const TARGET_BYTES_MAX: usize = 512;

/// Something that somebody tries, as the audit log names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    action: &'static str,
    on: On<'a>,
}

#[derive(Debug, Clone, Copy)]
enum On<'a> {
    /// The instance, or a thing of it by its name.
    Instance(&'a str),
    Repository(&'a RepositoryName),
    Digest(&'a RepositoryName, &'a Digest),
    Tag(&'a RepositoryName, &'a Tag),
}

impl<'a> Attempt<'a> {
    /// With an account, a key, a registry, or, where the name is empty, the instance as a whole.
    pub(crate) const fn on_instance(action: &'static str, target: &'a str) -> Self {
        Self { action, on: On::Instance(target) }
    }

    pub(crate) const fn on_repository(action: &'static str, repository: &'a RepositoryName) -> Self {
        Self { action, on: On::Repository(repository) }
    }

    pub(crate) const fn on_digest(
        action: &'static str,
        repository: &'a RepositoryName,
        digest: &'a Digest,
    ) -> Self {
        Self { action, on: On::Digest(repository, digest) }
    }

    pub(crate) const fn on_tag(action: &'static str, repository: &'a RepositoryName, tag: &'a Tag) -> Self {
        Self { action, on: On::Tag(repository, tag) }
    }

    /// With a manifest or a tag; the action is of what the reference is.
    pub(crate) const fn on_reference(
        [manifest, tag]: [&'static str; 2],
        repository: &'a RepositoryName,
        reference: &'a Reference,
    ) -> Self {
        match reference {
            Reference::Digest(digest) => Self::on_digest(manifest, repository, digest),
            Reference::Tag(name) => Self::on_tag(tag, repository, name),
        }
    }

    const fn repository(&self) -> Option<&'a RepositoryName> {
        match self.on {
            On::Instance(_) => None,
            On::Repository(name) | On::Digest(name, _) | On::Tag(name, _) => Some(name),
        }
    }

    /// In words. What is no name of anything is left out: it may be a secret in the wrong place.
    fn target(&self) -> String {
        match self.on {
            On::Instance(name) if is_name(name) => name.to_owned(),
            On::Instance(_) => String::new(),
            On::Repository(repository) => repository.to_string(),
            On::Digest(repository, digest) => format!("{repository}@{digest}"),
            On::Tag(repository, tag) => format!("{repository}:{tag}"),
        }
    }
}

/// Whether a text has the form of what things of the instance are called: `name`, `name@registry`, `name/key`, a digest or a number.
fn is_name(text: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-@:".contains(&c);
    let (name, key) = text.split_once('/').map_or((text, None), |(name, key)| (name, Some(key)));
    text.len() <= TARGET_BYTES_MAX
        && name.bytes().all(is_plain)
        && !name.starts_with(crate::directory::SECRET_PREFIX)
        && key.is_none_or(|key| key.len() <= 20 && key.bytes().all(|c| c.is_ascii_alphanumeric()))
}

/// Refusals that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    asker: Asker,
    key: Option<Arc<str>>,
    remote: Option<IpAddr>,
    action: &'static str,
    repository: Option<RepositoryName>,
    target: String,
    result: &'static str,
}

/// Who is bounded by himself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Asker {
    Account(Arc<str>),
    Nobody(Option<IpAddr>),
}

/// How often there was one of a kind.
#[derive(Debug)]
struct Gathered {
    /// The first of them.
    ctx: Context,
    at: UnixMillis,
    count: u64,
}

/// The refusals that are in memory.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    gathered: Mutex<State>,
    /// Whether a task waits to write them.
    scheduled: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<Kind, Gathered>,
    minute: u64,
    written: usize,
}

impl State {
    /// Counts one; `false` where there is no room for another kind.
    fn gather(&mut self, kind: Kind, ctx: &Context, at: UnixMillis) -> bool {
        let (all, same) = (
            self.kinds.len(),
            // Few enough to be counted.
            self.kinds.keys().filter(|other| other.asker == kind.asker).count(),
        );
        match self.kinds.entry(kind) {
            Entry::Occupied(mut known) => {
                known.get_mut().count = known.get().count.saturating_add(1);
                true
            }
            Entry::Vacant(_) if all >= KINDS_MAX || same >= KINDS_PER_ASKER_MAX => false,
            Entry::Vacant(place) => {
                place.insert(Gathered { ctx: ctx.clone(), at, count: 1 });
                true
            }
        }
    }

    /// Takes what may be written now, the oldest first.
    fn take(&mut self, now: UnixMillis, most: usize) -> Vec<(Kind, Gathered)> {
        let minute = now.0 / MINUTE_MILLIS;
        if minute != self.minute {
            (self.minute, self.written) = (minute, 0);
        }
        let room = most.saturating_sub(self.written);
        let mut oldest: Vec<(UnixMillis, Kind)> =
            self.kinds.iter().map(|(kind, gathered)| (gathered.at, kind.clone())).collect();
        oldest.sort_by_key(|(at, _)| *at);
        oldest.truncate(room);
        self.written += oldest.len();
        oldest.into_iter().filter_map(|(_, kind)| self.kinds.remove_entry(&kind)).collect()
    }
}

impl Registry {
    /// Refuses a change of the instance, or of what is in it, by those who may not; and notes that.
    pub(crate) fn authorize_change(
        &self,
        ctx: &Context,
        action: crate::access::InstanceAction,
        attempt: Attempt<'_>,
    ) -> Result<()> {
        let verdict = self.authorize_instance(ctx, action);
        self.told(ctx, attempt, verdict)
    }

    /// Hands on what came of an attempt, and notes it where it was refused.
    pub(crate) fn told<T>(&self, ctx: &Context, attempt: Attempt<'_>, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome
            && let Some(result) = self.refusal(ctx, attempt, error)
        {
            self.note_refusal(ctx, attempt, result);
        }
        outcome
    }

    /// The result that is told of an error; `None` for what is no refusal.
    fn refusal(&self, ctx: &Context, attempt: Attempt<'_>, error: &RegistryError) -> Option<&'static str> {
        if matches!(ctx.principal, Principal::Anonymous { .. }) {
            return None;
        }
        match error {
            RegistryError::Denied { .. } | RegistryError::OperatorsOnly => Some("denied"),
            // What one may not see is not there; whether it is not there either is another question.
            RegistryError::NameUnknown(_) => {
                let hidden = |name| !self.allows(ctx, Action::See, name);
                attempt.repository().is_some_and(hidden).then_some("denied")
            }
            RegistryError::QuotaExceeded { .. } => Some("over quota"),
            _ => None,
        }
    }

    fn note_refusal(&self, ctx: &Context, attempt: Attempt<'_>, result: &'static str) {
        let (account, key) =
            ctx.identity().map(|found| (Arc::clone(&found.account), Arc::clone(&found.key))).unzip();
        let kind = Kind {
            asker: account.map_or(Asker::Nobody(ctx.remote), Asker::Account),
            key,
            remote: ctx.remote,
            action: attempt.action,
            repository: attempt.repository().cloned(),
            target: attempt.target(),
            result,
        };
        let refusals = self.refusals();
        let gathered = lock(&refusals.gathered).gather(kind, ctx, self.engine().now());
        if !gathered {
            self.counters().refusals_dropped.add(1);
        }
        if refusals.scheduled.swap(true, Ordering::SeqCst) {
            return;
        }
        let registry = self.downgrade();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(write_refusals(registry))),
            Err(_) => refusals.scheduled.store(false, Ordering::SeqCst),
        }
    }

    /// Writes the refusals that are only in memory. To be called once more before the store is closed.
    pub async fn flush_refusals(&self) {
        self.flush_some_refusals(usize::MAX).await;
    }

    async fn flush_some_refusals(&self, most: usize) {
        let now = self.engine().now();
        let taken = lock(&self.refusals().gathered).take(now, most);
        for (kind, gathered) in taken {
            let mut batch = Batch::new(gathered.at.max(now.before(LATE_MAX)));
            batch.set_unsynced();
            batch.set_detail(gathered.ctx.event_detail_of_many(
                kind.action,
                &kind.target,
                kind.result,
                gathered.count,
            ));
            batch.note(kind.repository.as_ref());
            if let Err(error) = self.engine().commit(batch).await {
                self.counters().refusals_dropped.add(gathered.count);
                tracing::warn!(%error, action = kind.action, "a refusal could not be noted");
            }
        }
    }
}

/// Writes what is gathered, until there is nothing left.
async fn write_refusals(registry: WeakRegistry) {
    loop {
        tokio::time::sleep(WINDOW).await;
        let Some(registry) = registry.upgrade() else { return };
        let refusals = registry.refusals();
        // Before it is looked: a refusal that comes later is seen by this round or starts another.
        refusals.scheduled.store(false, Ordering::SeqCst);
        registry.flush_some_refusals(ENTRIES_PER_MINUTE).await;
        let is_left = !lock(&refusals.gathered).kinds.is_empty();
        if !is_left || refusals.scheduled.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scope;

    fn kind(asker: u8, target: usize) -> Kind {
        Kind {
            asker: Asker::Nobody(Some([192, 0, 2, asker].into())),
            key: None,
            remote: None,
            action: "tag.delete",
            repository: None,
            target: target.to_string(),
            result: "denied",
        }
    }

    fn ctx() -> Context {
        Context::everyone("id", Some([192, 0, 2, 1].into()))
    }

    #[test]
    fn what_is_alike_is_one_and_nobody_takes_all_the_room() {
        let mut state = State::default();
        for at in 0..1000 {
            assert!(state.gather(kind(1, 0), &ctx(), UnixMillis(at)));
        }
        assert_eq!(state.kinds.len(), 1);
        let taken = (0..1000).filter(|n| state.gather(kind(1, *n), &ctx(), UnixMillis(5))).count();
        assert_eq!((taken, state.kinds.len()), (KINDS_PER_ASKER_MAX, KINDS_PER_ASKER_MAX));
        for asker in 2..=255 {
            for target in 0..KINDS_PER_ASKER_MAX {
                state.gather(kind(asker, target), &ctx(), UnixMillis(6));
            }
        }
        assert_eq!(state.kinds.len(), KINDS_MAX);
        assert!(state.gather(kind(1, 0), &ctx(), UnixMillis(7)), "of a known kind there is always another");
        let first = state.take(UnixMillis(MINUTE_MILLIS), ENTRIES_PER_MINUTE);
        assert_eq!(first.len(), ENTRIES_PER_MINUTE);
        let (found, gathered) = first.first().unwrap();
        assert_eq!((found, gathered.count, gathered.at), (&kind(1, 0), 1002, UnixMillis(0)));
        assert!(state.take(UnixMillis(MINUTE_MILLIS + 1), ENTRIES_PER_MINUTE).is_empty());
        let rest = state.take(UnixMillis(2 * MINUTE_MILLIS), usize::MAX).len();
        assert_eq!((rest, state.kinds.len()), (KINDS_MAX - ENTRIES_PER_MINUTE, 0));
    }

    #[test]
    fn what_is_no_name_is_not_told() {
        for good in ["", "bob", "bob@hy", "bob/SKAAAAAAAAAAAAAAAAAA", "42", "sha256:00"] {
            assert_eq!(Attempt::on_instance("x", good).target(), good);
        }
        for bad in ["strata_abc", "bob/strata_abc", "ABC", "a b", "ä", "a\n", &"a".repeat(600)] {
            assert_eq!(Attempt::on_instance("x", bad).target(), "", "{bad}");
        }
    }

    #[tokio::test]
    async fn only_refusals_are_told_and_nobody_waits_for_it() {
        let (registry, _directory) = crate::registry::tests::empty();
        let name = RepositoryName::parse("hy/a").unwrap();
        let attempt = Attempt::on_repository("blob.push", &name);
        let refuse = |ctx: &Context, error: RegistryError| {
            assert!(registry.told(ctx, attempt, Err::<(), _>(error)).is_err());
        };
        let anonymous = Context { principal: Principal::Anonymous { token: true }, ..ctx() };
        let over = || RegistryError::QuotaExceeded { registry: "hy".to_owned(), limit: 1, used: 1 };
        refuse(&anonymous, over());
        refuse(&ctx(), RegistryError::Contended);
        refuse(&ctx(), RegistryError::NameUnknown(name.clone()));
        assert!(registry.told(&ctx(), attempt, Ok(())).is_ok());
        assert!(lock(&registry.refusals().gathered).kinds.is_empty());
        for _ in 0..3 {
            refuse(&ctx(), over());
        }
        refuse(&ctx(), RegistryError::Denied { why: String::new() });
        assert_eq!(registry.view().unwrap().last_event().unwrap(), 0, "nothing is written yet");
        registry.flush_refusals().await;
        let events = registry.view().unwrap().events(0, 9).unwrap();
        let entries: Vec<_> =
            events.into_iter().map(|(number, event)| super::super::AuditEntry::of(number, event)).collect();
        let mut told: Vec<_> = entries
            .iter()
            .map(|entry| (&*entry.action, &*entry.result, entry.target.as_str(), entry.count))
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("blob.push", "denied", "hy/a", 1), ("blob.push", "over quota", "hy/a", 3)]);
        assert_eq!(entries.first().and_then(super::super::AuditEntry::registry), Some("hy"));
        assert_eq!(ctx().scope, Scope::Private);
        registry.engine().close();
    }
}
