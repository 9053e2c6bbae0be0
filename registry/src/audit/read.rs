//! Reading of the audit log: the latest entries first for people, from the beginning for those who keep a copy. Each call looks at a
//! bounded number of rows, whatever the filter leaves of them.

use super::entry::AuditEntry;
use super::filter::AuditFilter;
use crate::access::InstanceAction;
use crate::context::{Context, Scope};
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use std::time::Duration;
use strata_engine::EngineError;
use strata_engine::meta::{Event, View};

/// Most entries of one page.
pub const AUDIT_ENTRIES_MAX: usize = 1000;
/// Rows that one call looks at.
const ROWS_MAX: usize = 20_000;
/// Rows of one read.
const ROWS_PER_READ: usize = 256;
/// By how much the times of neighbours in the log may be out of order: an event has the time at which its request began to commit.
const DISORDER: Duration = Duration::from_mins(1);

/// A part of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditPage {
    /// The entries that were asked for, in the order that was asked for.
    pub entries: Vec<AuditEntry>,
    /// The number to go on with; `None` at the end. There may be more although there are few entries here, or none.
    pub next: Option<u64>,
}

/// What is asked for, and may be told.
struct Wanted<'a> {
    filter: &'a AuditFilter,
    shows: &'a dyn Fn(&AuditEntry) -> bool,
}

impl AuditPage {
    /// Takes what the filter leaves of some rows, in order; `false`: the page is full.
    fn take(&mut self, rows: Vec<(u64, Event)>, wanted: &Wanted<'_>, limit: usize) -> bool {
        for (number, event) in rows {
            let entry = AuditEntry::of(number, event);
            self.next = Some(number);
            if wanted.filter.takes(&entry) && (wanted.shows)(&entry) {
                self.entries.push(entry);
                if self.entries.len() == limit {
                    return false;
                }
            }
        }
        true
    }
}

impl Registry {
    /// The latest entries of the audit log that the filter takes, before the number `before` where one is given: at most `limit`, never
    /// more than [`AUDIT_ENTRIES_MAX`].
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`] and [`RegistryError::Denied`] where the one who asks may not look at the instance; the store's
    /// condition.
    pub async fn audit(
        &self,
        ctx: &Context,
        filter: AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<AuditPage> {
        self.authorize_instance(ctx, InstanceAction::Watch)?;
        let registry = self.clone();
        let scope = ctx.scope;
        away(move || {
            let shows = |entry: &AuditEntry| registry.shows_entry(scope, entry);
            let wanted = Wanted { filter: &filter, shows: &shows };
            latest(&registry.view()?, &wanted, before, limit).map_err(RegistryError::store)
        })
        .await
    }

    /// The entries of the audit log that the filter takes, in the order in which they came, behind the number `after` (0 for the
    /// beginning): at most `limit`, never more than [`AUDIT_ENTRIES_MAX`].
    ///
    /// # Errors
    /// As [`Registry::audit`].
    pub async fn export_audit(
        &self,
        ctx: &Context,
        filter: AuditFilter,
        after: u64,
        limit: usize,
    ) -> Result<AuditPage> {
        self.authorize_instance(ctx, InstanceAction::Watch)?;
        let registry = self.clone();
        let scope = ctx.scope;
        away(move || {
            let shows = |entry: &AuditEntry| registry.shows_entry(scope, entry);
            let wanted = Wanted { filter: &filter, shows: &shows };
            earliest(&registry.view()?, &wanted, after, limit).map_err(RegistryError::store)
        })
        .await
    }

    /// Whether what an entry is about exists for those who came in by a listener.
    fn shows_entry(&self, scope: Scope, entry: &AuditEntry) -> bool {
        let is_shown = |name| self.snapshot().registry(name).is_none_or(|row| row.is_visible_in(scope));
        entry.registry().is_none_or(is_shown)
    }
}

/// The numbers between which entries of the wanted time are: the first, and one above the last.
fn bounds(view: &View, filter: &AuditFilter) -> std::result::Result<(u64, u64), EngineError> {
    let first = match filter.from {
        Some(from) => view.first_event_since(from.before(DISORDER))?,
        None => view.log_begins()?,
    };
    let end = match filter.until {
        Some(until) => view.first_event_since(until.after(DISORDER))?,
        None => view.last_event()?.saturating_add(1),
    };
    Ok((first, end))
}

fn latest(
    view: &View,
    wanted: &Wanted<'_>,
    before: Option<u64>,
    limit: usize,
) -> std::result::Result<AuditPage, EngineError> {
    let limit = limit.clamp(1, AUDIT_ENTRIES_MAX);
    let (first, end) = bounds(view, wanted.filter)?;
    let mut page = AuditPage::default();
    let mut before = before.map_or(end, |before| before.min(end));
    for _ in 0..ROWS_MAX / ROWS_PER_READ {
        let mut rows = view.events_before(Some(before), ROWS_PER_READ)?;
        rows.retain(|(number, _)| *number >= first);
        let is_last = rows.len() < ROWS_PER_READ;
        let took_all = page.take(rows, wanted, limit);
        before = page.next.unwrap_or(before);
        if before <= first || (is_last && took_all) {
            page.next = None;
        }
        if !took_all || is_last {
            break;
        }
    }
    Ok(page)
}

fn earliest(
    view: &View,
    wanted: &Wanted<'_>,
    after: u64,
    limit: usize,
) -> std::result::Result<AuditPage, EngineError> {
    let limit = limit.clamp(1, AUDIT_ENTRIES_MAX);
    let (first, end) = bounds(view, wanted.filter)?;
    let mut page = AuditPage::default();
    let mut after = after.max(first.saturating_sub(1));
    for _ in 0..ROWS_MAX / ROWS_PER_READ {
        let mut rows = view.events(after, ROWS_PER_READ)?;
        rows.retain(|(number, _)| *number < end);
        let is_last = rows.len() < ROWS_PER_READ;
        let took_all = page.take(rows, wanted, limit);
        after = page.next.unwrap_or(after);
        if after.saturating_add(1) >= end || (is_last && took_all) {
            page.next = None;
        }
        if !took_all || is_last {
            break;
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use strata_engine::UnixMillis;
    use strata_engine::meta::Batch;

    /// A registry whose log has a note for each of so many moments, by two accounts in turn.
    async fn noted(moments: u64) -> (Registry, tempfile::TempDir) {
        let (registry, directory) = crate::registry::tests::empty();
        for at in 1..=moments {
            let mut batch = Batch::new(UnixMillis(at * 1000 * 60));
            let account = if at % 2 == 0 { "ada" } else { "bob" };
            batch.set_detail(Bytes::from(format!(r#"{{"account":"{account}","action":"account.create"}}"#)));
            batch.note(None);
            batch.set_unsynced();
            registry.engine().commit(batch).await.unwrap();
        }
        (registry, directory)
    }

    fn numbers(page: &AuditPage) -> Vec<u64> {
        page.entries.iter().map(|entry| entry.number).collect()
    }

    fn by(account: &str) -> AuditFilter {
        AuditFilter { account: Some(account.to_owned()), ..AuditFilter::default() }
    }

    #[tokio::test]
    async fn the_latest_come_first_and_pages_meet() {
        let (registry, _directory) = noted(600).await;
        let ctx = Context::everyone("id", None);
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = registry.audit(&ctx, by("ada"), before, 70).await.unwrap();
            assert!(page.entries.len() <= 70);
            all.extend(numbers(&page));
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        assert_eq!(all, (1..=300).rev().map(|half| half * 2).collect::<Vec<u64>>());
        let nobody = registry.audit(&ctx, by("eve"), None, 9).await.unwrap();
        assert_eq!(nobody, AuditPage::default());
        registry.engine().close();
    }

    #[tokio::test]
    async fn an_export_goes_from_the_beginning_and_pages_meet() {
        let (registry, _directory) = noted(600).await;
        let ctx = Context::everyone("id", None);
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = registry.export_audit(&ctx, by("bob"), after, 100).await.unwrap();
            all.extend(numbers(&page));
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(all, (1..=300).map(|half| half * 2 - 1).collect::<Vec<u64>>());
        registry.engine().close();
    }

    #[tokio::test]
    async fn a_time_range_is_exact() {
        let (registry, _directory) = noted(100).await;
        let ctx = Context::everyone("id", None);
        let at = |minute: u64| Some(UnixMillis(minute * 1000 * 60));
        let filter = AuditFilter { from: at(40), until: at(43), ..AuditFilter::default() };
        let page = registry.audit(&ctx, filter.clone(), None, 99).await.unwrap();
        assert_eq!((numbers(&page), page.next), (vec![42, 41, 40], None));
        let page = registry.export_audit(&ctx, filter, 0, 99).await.unwrap();
        assert_eq!((numbers(&page), page.next), (vec![40, 41, 42], None));
        let ahead = AuditFilter { from: at(400), ..AuditFilter::default() };
        assert_eq!(registry.audit(&ctx, ahead, None, 99).await.unwrap(), AuditPage::default());
        registry.engine().close();
    }

    #[tokio::test]
    async fn one_call_looks_at_a_bounded_number_of_rows() {
        let (registry, _directory) = noted(1).await;
        let mut batch = Batch::new(UnixMillis(1000 * 60));
        for _ in 0..2 * ROWS_MAX {
            batch.note(None);
        }
        registry.engine().commit(batch).await.unwrap();
        let ctx = Context::everyone("id", None);
        let page = registry.audit(&ctx, by("bob"), None, 9).await.unwrap();
        assert_eq!(page.entries, []);
        let next = page.next.unwrap();
        assert!(next > 1 && next < 2 * ROWS_MAX as u64, "{next}");
        let (mut before, mut calls) = (Some(next), 1);
        let last = loop {
            let page = registry.audit(&ctx, by("bob"), before, 9).await.unwrap();
            calls += 1;
            if page.next.is_none() {
                break page;
            }
            before = page.next;
        };
        assert_eq!((numbers(&last), calls), (vec![1], 3));
        registry.engine().close();
    }
}
