//! What registries use, kept with every batch.
//!
//! The verbs say nothing about it: the queue compares, for each row of a repository that a batch touches, whether it was there before and
//! is there after. So a push that is repeated counts once, whatever the batch is made of, and no verb can forget it.

use super::{Changes, Group};
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Held, HoldersRecord, ManifestRecord, Record, StoredBlob, Usage};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use strata_types::{Digest, RepositoryName};

/// How much more a registry may come to use by a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageLimit {
    pub(crate) registry: String,
    pub(crate) unique_bytes_max: u64,
}

/// Figures before and after.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    before: Usage,
    after: Usage,
}

/// The figures that a batch changes.
struct Tally<'a> {
    group: &'a Group<'a>,
    /// What the batch changes.
    own: &'a Changes,
    holders: BTreeMap<Bytes, HoldersRecord>,
    sums: BTreeMap<String, Sums>,
}

/// Adds to a batch's changes what they mean for the usage of registries.
///
/// # Errors
/// [`EngineError::UsageExceeded`] where a registry would use more by this than a limit allows; errors of reading.
pub(super) fn count(group: &Group<'_>, own: &mut Changes, limits: &[UsageLimit]) -> Result<(), EngineError> {
    let mut tally = Tally { group, own, holders: BTreeMap::new(), sums: BTreeMap::new() };
    for (row, value) in &*own {
        let counts = row.first().is_some_and(|first| {
            matches!(*first, table::LINK | table::MANIFEST | table::TAG | table::REPOSITORY)
        });
        if counts && group.get(row)?.is_some() != value.is_some() {
            tally.row(row, value.as_ref())?;
        }
    }
    let Tally { holders, sums, .. } = tally;
    for limit in limits {
        if let Some(Sums { before, after }) = sums.get(&limit.registry)
            && after.unique_bytes > before.unique_bytes.max(limit.unique_bytes_max)
        {
            return Err(EngineError::UsageExceeded {
                registry: limit.registry.clone(),
                limit: limit.unique_bytes_max,
                used: before.unique_bytes,
                wanted: after.unique_bytes - before.unique_bytes,
            });
        }
    }
    for (row, record) in holders {
        own.insert(row, (record.repositories > 0).then(|| record.encode()));
    }
    for (registry, Sums { after, .. }) in sums {
        // A registry of which nothing is left leaves no row.
        own.insert(key::usage(&registry), (after != Usage::default()).then(|| after.encode()));
    }
    Ok(())
}

impl Tally<'_> {
    /// A row that came (with its value) or went.
    fn row(&mut self, row: &Bytes, value: Option<&Bytes>) -> Result<(), EngineError> {
        let comes = value.is_some();
        match Key::decode(row) {
            Ok(Key::Link { repository, digest }) => self.hold(&repository, Held::Blob, &digest, value)?,
            Ok(Key::Manifest { repository, digest }) => {
                self.sums(repository.registry())?.after.manifests.count(comes);
                self.hold(&repository, Held::Manifest, &digest, value)?;
            }
            Ok(Key::Tag { repository, .. }) => {
                self.sums(repository.registry())?.after.tags.count(comes);
            }
            Ok(Key::Repository { repository }) => {
                self.sums(repository.registry())?.after.repositories.count(comes);
            }
            // Not of this format: it is nobody's, and `strata check` tells.
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    fn hold(
        &mut self,
        repository: &RepositoryName,
        held: Held,
        digest: &Digest,
        value: Option<&Bytes>,
    ) -> Result<(), EngineError> {
        let registry = repository.registry();
        let row = key::holders(registry, held, digest);
        let mut record = match self.holders.get(&row) {
            Some(record) => *record,
            None => self.group.get(&row)?.map(HoldersRecord::decode).transpose()?.unwrap_or_default(),
        };
        let was_held = record.repositories > 0;
        if !was_held && let Some(value) = value {
            record.bytes = match held {
                Held::Blob => self.blob_bytes(digest)?,
                Held::Manifest => ManifestRecord::decode(value.clone())?.size,
            };
        }
        record.repositories.count(value.is_some());
        let is_held = record.repositories > 0;
        self.holders.insert(row, record);
        let after = &mut self.sums(registry)?.after;
        if value.is_some() {
            after.logical_bytes = after.logical_bytes.saturating_add(record.bytes);
        } else {
            after.logical_bytes = after.logical_bytes.saturating_sub(record.bytes);
        }
        match (was_held, is_held) {
            (false, true) => after.unique_bytes = after.unique_bytes.saturating_add(record.bytes),
            (true, false) => after.unique_bytes = after.unique_bytes.saturating_sub(record.bytes),
            _ => {}
        }
        Ok(())
    }

    /// The length of a blob that the batch brings, or that is there. Where neither is so, the link leads nowhere and weighs nothing.
    fn blob_bytes(&self, digest: &Digest) -> Result<u64, EngineError> {
        let row = key::blob(digest);
        let value = match self.own.get(&row) {
            Some(changed) => changed.clone(),
            None => self.group.get(&row)?,
        };
        Ok(value.map(StoredBlob::decode).transpose()?.map_or(0, |stored| stored.record.size))
    }

    fn sums(&mut self, registry: &str) -> Result<&mut Sums, EngineError> {
        match self.sums.entry(registry.to_owned()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let usage = self.group.get(&key::usage(registry))?;
                let before = usage.map(Usage::decode).transpose()?.unwrap_or_default();
                Ok(new.insert(Sums { before, after: before }))
            }
        }
    }
}

/// One more, or one less. Figures that are wrong already do not turn over: a check counts them anew.
trait Count {
    fn count(&mut self, comes: bool);
}

impl Count for u64 {
    fn count(&mut self, comes: bool) {
        *self = if comes { self.saturating_add(1) } else { self.saturating_sub(1) };
    }
}
