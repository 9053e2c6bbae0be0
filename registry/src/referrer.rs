//! Referrers of a manifest (distribution-spec end-12a, end-12b).
//!
//! A referrer's row is written in the transaction that pushes a manifest with a subject, and removed with the manifest. So a
//! manifest that a client without this API also listed under the fallback tag (`sha256-<hex>`, "Referrers Tag Schema") shows here in any
//! case, whichever of the two was pushed first: the tag's index adds nothing, and one that lists manifests of another subject deceives
//! nobody.

use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::manifest::artifact_type as type_of;
use crate::page::{Page, ReferrerPage};
use crate::registry::{Registry, Result, away};
use bytes::Bytes;
use strata_engine::meta::View;
use strata_types::limits::REFERRERS_PAGE_BYTES_MAX;
use strata_types::{Digest, RepositoryName};

/// Most rows that one request looks at; a filter that matches few of many is answered in several pages.
const ROWS_MAX: usize = 10_000;
/// Most rows that are read at once.
const ROWS_AT_ONCE_MAX: usize = 256;
/// What a descriptor is taken to weigh before one was seen, bytes. One can weigh 4 MiB, so that reading many at once is not free.
const DESCRIPTOR_BYTES_GUESS: usize = 256 * 1024;

impl Registry {
    /// Lists the manifests whose subject is `subject`, which need not exist, in the order of digests; with `artifact_type`, only those of
    /// that type. An unknown repository has none.
    ///
    /// A page holds at most [`REFERRERS_PAGE_BYTES_MAX`] of descriptors, or one that is longer than that.
    ///
    /// # Errors
    /// [`RegistryError::PageInvalid`] where [`Page::last`] is no digest; [`RegistryError::Denied`].
    pub async fn list_referrers(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&str>,
        page: &Page,
    ) -> Result<ReferrerPage> {
        self.authorize(ctx, Action::See, repository)?;
        let last = page.last.as_deref().map(Digest::parse).transpose();
        let last =
            last.map_err(|_| RegistryError::PageInvalid { last: page.last.clone().unwrap_or_default() })?;
        let collected = Collected { after: last, ..Collected::new(page.entries()) };
        let (registry, repository, subject) = (self.clone(), repository.clone(), *subject);
        let artifact_type = artifact_type.map(str::to_owned);
        away(move || {
            read_referrers(&registry.view()?, &repository, &subject, artifact_type.as_deref(), collected)
        })
        .await
    }

    /// The first referrers of a manifest in one view, as many as one page holds.
    pub(crate) fn first_referrers(
        view: &View,
        repository: &RepositoryName,
        subject: &Digest,
        limit: usize,
    ) -> Result<ReferrerPage> {
        read_referrers(view, repository, subject, None, Collected::new(limit))
    }
}

fn read_referrers(
    view: &View,
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    mut collected: Collected,
) -> Result<ReferrerPage> {
    while collected.wants_more() {
        let at_once = collected.rows_at_once();
        let rows = view.referrers(repository, subject, collected.after.as_ref(), at_once);
        let rows = rows.map_err(RegistryError::store)?;
        let is_end = rows.len() < at_once;
        if collected.take(rows, artifact_type)? && is_end {
            collected.after = None;
            break;
        }
    }
    let next = collected.after.filter(|_| collected.entries_max > 0);
    Ok(ReferrerPage { descriptors: collected.descriptors, next })
}

/// A page in the making.
#[derive(Debug)]
struct Collected {
    descriptors: Vec<Bytes>,
    /// Bytes of the descriptors and the commas between them.
    bytes: usize,
    entries_max: usize,
    /// The last row that was looked at and either listed or passed over.
    after: Option<Digest>,
    rows: usize,
    row_bytes: usize,
    full: bool,
}

impl Collected {
    const fn new(entries_max: usize) -> Self {
        Self {
            descriptors: Vec::new(),
            bytes: 0,
            entries_max,
            after: None,
            rows: 0,
            row_bytes: 0,
            full: false,
        }
    }

    fn wants_more(&self) -> bool {
        !self.full && self.descriptors.len() < self.entries_max && self.rows < ROWS_MAX
    }

    /// As many rows as the room that is left would hold, if they are like those that were seen.
    fn rows_at_once(&self) -> usize {
        let weight = self.row_bytes.checked_div(self.rows).unwrap_or(DESCRIPTOR_BYTES_GUESS).max(1);
        (REFERRERS_PAGE_BYTES_MAX.saturating_sub(self.bytes) / weight).clamp(1, ROWS_AT_ONCE_MAX)
    }

    /// Takes rows as long as there is room; `false` where some were left.
    fn take(&mut self, rows: Vec<(Digest, Bytes)>, artifact_type: Option<&str>) -> Result<bool> {
        for (digest, descriptor) in rows {
            self.rows += 1;
            self.row_bytes += descriptor.len();
            let wanted = match artifact_type {
                Some(wanted) => {
                    let found = type_of(&descriptor);
                    let found =
                        found.map_err(|e| RegistryError::corrupt(format!("descriptor of {digest}: {e}")))?;
                    found.as_deref() == Some(wanted)
                }
                None => true,
            };
            if wanted {
                let bytes = self.bytes + descriptor.len() + 1;
                let has_room = self.descriptors.is_empty() || bytes <= REFERRERS_PAGE_BYTES_MAX;
                if !has_room || self.descriptors.len() >= self.entries_max {
                    self.full = true;
                    return Ok(false);
                }
                self.bytes = bytes;
                self.descriptors.push(descriptor);
            }
            self.after = Some(digest);
        }
        Ok(true)
    }
}
