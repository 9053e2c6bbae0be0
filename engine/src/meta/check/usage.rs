//! Is what registries use what a count shows? Counted beside the walk: a few figures for each registry, and the registries that hold one
//! digest at a time.

use super::{Checker, Problem};
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{Held, HoldersRecord, Record, Usage};
use crate::meta::usage::length;
use crate::meta::view::View;
use bytes::Bytes;
use std::collections::BTreeMap;
use strata_types::{DEFAULT_REGISTRY, Digest, RepositoryName};

/// What was counted so far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// The digest whose holders are being counted, and one of them.
    digest: Option<(Held, Digest, RepositoryName)>,
    /// How many repositories of each registry hold it.
    holders: BTreeMap<String, u64>,
    sums: BTreeMap<String, Usage>,
}

impl Counted {
    /// Nothing yet; `None` for a store whose format keeps no such figures.
    pub(super) fn of(view: &View) -> Option<Self> {
        let identity = crate::meta::identity(view).ok().flatten()?;
        (identity.format_version >= crate::meta::format::USAGE_SINCE).then(Self::default)
    }

    fn sums(&mut self, registry: &str) -> &mut Usage {
        self.sums.entry(registry.to_owned()).or_default()
    }
}

impl Checker<'_> {
    /// A repository or a tag.
    pub(super) fn count(&mut self, repository: &RepositoryName, figure: impl FnOnce(&mut Usage) -> &mut u64) {
        if let Some(counted) = &mut self.counted {
            *figure(counted.sums(repository.registry())) += 1;
        }
    }

    /// A repository that holds a digest; those of one digest follow each other.
    pub(super) fn count_holder(
        &mut self,
        held: Held,
        digest: &Digest,
        repository: &RepositoryName,
    ) -> Result<(), EngineError> {
        let Some(counted) = &self.counted else { return Ok(()) };
        let next = (held, *digest);
        if counted.digest.as_ref().is_some_and(|(held, digest, _)| (*held, *digest) != next) {
            self.compare_holders()?;
        }
        if let Some(counted) = &mut self.counted {
            *counted.holders.entry(repository.registry().to_owned()).or_default() += 1;
            counted.digest = Some((held, *digest, repository.clone()));
        }
        Ok(())
    }

    /// All holders of a digest were counted.
    pub(super) fn compare_holders(&mut self) -> Result<(), EngineError> {
        let Some(counted) = &mut self.counted else { return Ok(()) };
        let Some((held, digest, repository)) = counted.digest.take() else { return Ok(()) };
        let holders = std::mem::take(&mut counted.holders);
        let bytes = length(self.view, held, &digest, &repository)?;
        for (registry, repositories) in holders {
            let row = key::holders(&registry, held, &digest);
            let says = self.view.raw(&row)?.and_then(|value| HoldersRecord::decode(value).ok());
            let says = says.unwrap_or_default();
            self.compare_figure(&row, "repositories", says.repositories, repositories);
            // Where its row is missing, that is a finding of its own.
            let bytes = bytes.unwrap_or(says.bytes);
            self.compare_figure(&row, "bytes", says.bytes, bytes);
            if let Some(counted) = &mut self.counted {
                counted.sums(&registry).hold(held, HoldersRecord { repositories, bytes });
            }
        }
        Ok(())
    }

    /// A row `w`, which somebody of the registry must stand behind.
    pub(super) fn holders(
        &mut self,
        row: &Bytes,
        (registry, held, digest): (&str, Held, &Digest),
        value: Bytes,
    ) -> Result<(), EngineError> {
        if self.counted.is_some() && !self.is_held_in(registry, held, digest)? {
            let says = HoldersRecord::decode(value)?.repositories;
            self.compare_figure(row, "repositories", says, 0);
        }
        Ok(())
    }

    fn is_held_in(&self, registry: &str, held: Held, digest: &Digest) -> Result<bool, EngineError> {
        let all = match held {
            Held::Blob => key::blob_repositories(digest),
            Held::Manifest => key::manifest_repositories(digest),
        };
        let within = [&all[..], registry.as_bytes(), b"/"].concat();
        if !self.view.raw_page(&within, None, 1)?.is_empty() {
            return Ok(true);
        }
        // Names of one segment lie among all others.
        let mut after: Option<Bytes> = None;
        if registry != DEFAULT_REGISTRY {
            return Ok(false);
        }
        loop {
            let rows = self.view.raw_page(&all, after.as_deref(), super::PAGE_ROWS)?;
            let is_one = |row: &Bytes| !row.get(all.len()..).unwrap_or_default().contains(&b'/');
            if rows.iter().any(|(row, _)| is_one(row)) {
                return Ok(true);
            }
            if rows.len() < super::PAGE_ROWS {
                return Ok(false);
            }
            after = rows.into_iter().last().map(|(row, _)| row);
        }
    }

    /// The figures of all registries, behind the walk.
    pub(super) fn compare_usage(&mut self) -> Result<(), EngineError> {
        let Some(counted) = self.counted.take() else { return Ok(()) };
        let mut sums = counted.sums;
        let mut after: Option<Bytes> = None;
        loop {
            let rows = self.view.raw_page(&[table::USAGE], after.as_deref(), super::PAGE_ROWS)?;
            for (row, value) in &rows {
                // One that cannot be read was told on its turn.
                if let (Ok(Key::Usage { registry }), Ok(says)) =
                    (Key::decode(row), Usage::decode(value.clone()))
                {
                    self.compare_sums(row, says, sums.remove(&registry).unwrap_or_default());
                }
            }
            if rows.len() < super::PAGE_ROWS {
                break;
            }
            after = rows.into_iter().last().map(|(row, _)| row);
        }
        for (registry, counted) in sums {
            self.compare_sums(&key::usage(&registry), Usage::default(), counted);
        }
        Ok(())
    }

    fn compare_sums(&mut self, row: &Bytes, says: Usage, counted: Usage) {
        self.compare_figure(row, "repositories", says.repositories, counted.repositories);
        self.compare_figure(row, "manifests", says.manifests, counted.manifests);
        self.compare_figure(row, "tags", says.tags, counted.tags);
        self.compare_figure(row, "logical bytes", says.logical_bytes, counted.logical_bytes);
        self.compare_figure(row, "unique bytes", says.unique_bytes, counted.unique_bytes);
    }

    fn compare_figure(&mut self, row: &Bytes, what: &'static str, says: u64, counted: u64) {
        if says != counted {
            self.found(row, Problem::Miscounted { what, says, counted });
        }
    }
}
