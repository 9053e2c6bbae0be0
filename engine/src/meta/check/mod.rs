//! Proves that the tables agree with each other. Reads only, streams the whole key space in order with bounded memory, and
//! goes on after what it finds. `strata check` calls it; bytes on disk are checked elsewhere.
//!
//! Works on any view, also of a running store: a view is consistent.

mod blob;
mod content;
mod finding;
mod held;
mod manifest;
mod page;
mod queue;
mod repair;
mod store;
#[cfg(test)]
mod tests;
mod usage;

pub use finding::{Finding, Problem, Severity};
pub(crate) use page::check_page;
pub(crate) use repair::mend;

use super::key::{Key, table};
use super::record::{Record, decode_row};
use super::view::View;
use crate::error::EngineError;
use bytes::Bytes;
use held::Held;
use queue::Queued;
use store::Log;
use usage::Counted;

/// Rows per read.
const PAGE_ROWS: usize = 256;
/// Rows per read of tables with values of up to 4 MiB.
const PAGE_ROWS_LARGE: usize = 4;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "rows of the table that the field is named after")]
pub struct Summary {
    /// All rows.
    pub rows: u64,
    pub repositories: u64,
    pub manifests: u64,
    pub tags: u64,
    pub links: u64,
    pub pins: u64,
    pub blobs: u64,
    /// Bytes of all blobs.
    pub blob_bytes: u64,
    /// Blobs in quarantine, each of which is an error too.
    pub quarantined: u64,
    pub uploads: u64,
    pub leases: u64,
    pub events: u64,
    pub gc_entries: u64,
    pub tombstones: u64,
    /// Deletions that can be undone.
    pub deletions: u64,
    /// Findings that break a promise.
    pub errors: u64,
    /// Findings that break none.
    pub notes: u64,
}

/// Checks every row of the view and hands each finding to `report`, in the order of keys.
///
/// # Errors
/// None for what is found; [`EngineError`] only where the view cannot be read at all.
pub fn check(view: &View, report: &mut dyn FnMut(Finding)) -> Result<Summary, EngineError> {
    let mut checker = Checker {
        view,
        report,
        summary: Summary::default(),
        log: Log::default(),
        held: Held::default(),
        queued: Queued::default(),
        counted: Counted::of(view),
    };
    checker.facts()?;
    for first in 0..=u8::MAX {
        checker.table(first);
    }
    checker.end_of_log();
    if let Err(error) = checker.compare_usage() {
        checker.found(&[table::USAGE], Problem::Unreadable { why: error.to_string() });
    }
    Ok(checker.summary)
}

/// Rows of a table that one read takes.
const fn rows_per_page(first: u8) -> usize {
    let large =
        matches!(first, table::MANIFEST_BYTES | table::EDGES | table::UPLOAD | table::REFERRER | table::PIN);
    if large { PAGE_ROWS_LARGE } else { PAGE_ROWS }
}

struct Checker<'a> {
    view: &'a View,
    report: &'a mut dyn FnMut(Finding),
    summary: Summary,
    log: Log,
    held: Held,
    queued: Queued,
    /// `None` where only a part of the store is looked at.
    counted: Option<Counted>,
}

impl Checker<'_> {
    fn table(&mut self, first: u8) {
        let limit = rows_per_page(first);
        let mut after: Option<Bytes> = None;
        loop {
            let rows = match self.view.raw_page(&[first], after.as_deref(), limit) {
                Ok(rows) => rows,
                Err(error) => {
                    // What follows in this table cannot be reached past the damage.
                    let place = after.unwrap_or_else(|| Bytes::copy_from_slice(&[first]));
                    self.found(&place, Problem::Unreadable { why: error.to_string() });
                    return;
                }
            };
            let full = rows.len() == limit;
            for (key, value) in rows {
                self.row(&key, value);
                after = Some(key);
            }
            if !full {
                return self.end_of_table(first);
            }
        }
    }

    fn end_of_table(&mut self, first: u8) {
        if let Err(error) = self.compare_holders() {
            self.found(&[first], Problem::Unreadable { why: error.to_string() });
        }
    }

    fn row(&mut self, bytes: &Bytes, value: Bytes) {
        self.summary.rows += 1;
        let key = match Key::decode(bytes) {
            Ok(key) => key,
            Err(error) => return self.found(bytes, Problem::Undecodable { why: error.to_string() }),
        };
        if let Key::Event { number } = key {
            self.event(bytes, number);
        }
        if let Err(error) = decode_row(&key, value.clone()) {
            return self.found(bytes, Problem::Undecodable { why: error.to_string() });
        }
        // What cannot be read while a row is compared with others is a finding like any other.
        if let Err(error) = self.compare(bytes, &key, value) {
            self.found(bytes, Problem::Unreadable { why: error.to_string() });
        }
    }

    fn compare(&mut self, bytes: &Bytes, key: &Key, value: Bytes) -> Result<(), EngineError> {
        match key {
            Key::Repository { repository } => {
                self.summary.repositories += 1;
                self.count(repository, |usage| &mut usage.repositories);
            }
            Key::Tag { repository, tag } => self.tag(bytes, repository, tag, value)?,
            Key::ManifestTag { repository, digest, tag } => {
                self.manifest_tag(bytes, repository, digest, tag)?;
            }
            Key::TagMove { repository, tag, event } => self.tag_move(bytes, repository, tag, *event)?,
            Key::Manifest { repository, digest } => self.manifest(bytes, repository, digest, value)?,
            Key::Edges { repository, digest } => self.edges(bytes, repository, digest, value)?,
            Key::ManifestRepository { digest, repository } => {
                let row = super::key::manifest(repository, digest);
                if self.needs(bytes, &row, "the manifest in the repository")? {
                    self.count_holder(super::record::Held::Manifest, digest, repository)?;
                }
            }
            Key::ManifestBytes { digest } => self.manifest_bytes(bytes, digest, value)?,
            Key::BackEdge { repository, child, parent } => {
                self.back_edge(bytes, repository, child, parent, value)?;
            }
            Key::Referrer { repository, subject, referrer } => {
                self.referrer(bytes, repository, subject, referrer)?;
            }
            Key::Pin { repository, digest } => self.pin(bytes, repository, digest)?,
            Key::Ingest { repository, id } => self.ingest(bytes, repository, id)?,
            Key::Link { repository, digest } => self.link(bytes, repository, digest, value)?,
            Key::BlobRepository { digest, repository } => {
                if self.needs(bytes, &super::key::link(repository, digest), "the link")? {
                    self.count_holder(super::record::Held::Blob, digest, repository)?;
                }
            }
            Key::Blob { digest } => self.blob(bytes, digest, value)?,
            Key::Quarantine { digest } => self.quarantine(bytes, digest)?,
            Key::Generation { generation } => self.generation(bytes, *generation, value)?,
            Key::Frame { segment, offset } => self.frame(bytes, *segment, *offset, value)?,
            Key::Upload { id } => self.upload(bytes, id, value)?,
            Key::Trash { number } => self.trash(bytes, *number, value)?,
            Key::Tombstone { item } => self.tombstone(bytes, *item)?,
            Key::Holders { registry, held, digest } => {
                self.holders(bytes, (registry.as_str(), *held, digest), value)?;
            }
            Key::Lease { .. } => self.summary.leases += 1,
            Key::Gc { .. } | Key::GcFormat1 { .. } => self.summary.gc_entries += 1,
            Key::GcSince { .. }
            | Key::Event { .. }
            | Key::Meta { .. }
            | Key::Reserved { .. }
            | Key::Setting { .. }
            | Key::Usage { .. } => {}
        }
        Ok(())
    }

    /// Whether a row is there that belongs to this one; reports where it is not.
    fn needs(&mut self, bytes: &Bytes, other: &Bytes, what: &'static str) -> Result<bool, EngineError> {
        let is_there = self.view.raw(other)?.is_some();
        if !is_there {
            self.found(
                bytes,
                Problem::Missing { what, key: super::key::printable(other), row: other.clone() },
            );
        }
        Ok(is_there)
    }

    /// Reads a row that belongs to this one; reports where it is missing, or cannot be decoded, which that row's own turn
    /// tells in detail.
    fn related<R: Record>(
        &mut self,
        bytes: &Bytes,
        other: &Bytes,
        what: &'static str,
    ) -> Result<Option<R>, EngineError> {
        let record = self.view.raw(other)?.and_then(|value| R::decode(value).ok());
        if record.is_none() {
            self.found(
                bytes,
                Problem::Missing { what, key: super::key::printable(other), row: other.clone() },
            );
        }
        Ok(record)
    }

    fn found(&mut self, key: &[u8], problem: Problem) {
        let row = Bytes::copy_from_slice(key);
        let finding = Finding { key: super::key::printable(key), row, problem };
        match finding.severity() {
            Severity::Error => self.summary.errors += 1,
            Severity::Note => self.summary.notes += 1,
        }
        (self.report)(finding);
    }

    fn disagrees(&mut self, key: &[u8], what: &'static str) {
        self.found(key, Problem::Disagrees { what });
    }
}
