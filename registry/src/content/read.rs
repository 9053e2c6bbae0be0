//! What content there is: looked up, listed, read.

use super::filter::ContentFilter;
use super::labels::Labels;
use super::space::ContentSpace;
use crate::access::Action;
use crate::blob::BlobBody;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use std::borrow::Cow;
use std::collections::BTreeMap;
use strata_engine::UnixMillis;
use strata_engine::meta::{PinRecord, View};
use strata_types::{Digest, RepositoryName};

/// Entries that one page looks at.
const PAGE: usize = 100;
/// Bytes of labels of one page, beyond which it ends.
const PAGE_LABEL_BYTES: usize = 256 * 1024;

/// A pinned blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentInfo {
    /// The blob.
    pub digest: Digest,
    /// Its length, bytes.
    pub size: u64,
    /// Since when it is pinned.
    pub created_at: UnixMillis,
    /// When its labels were set last.
    pub updated_at: UnixMillis,
    /// Its labels.
    pub labels: Labels,
}

/// A page of a list of content; it may be empty although more follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentPage {
    /// The entries that the filter wants, in the order of digests.
    pub content: Vec<ContentInfo>,
    /// Where the list goes on; `None`: nowhere.
    pub next: Option<Digest>,
}

/// Content to be sent.
#[derive(Debug)]
pub struct ContentRead {
    /// Its length, bytes.
    pub size: u64,
    /// All of it; ranges are the reader's choice.
    pub body: BlobBody,
}

impl ContentInfo {
    pub(super) fn of(digest: &Digest, size: u64, pin: PinRecord) -> Self {
        let PinRecord { created_at, updated_at, labels } = pin;
        Self { digest: *digest, size, created_at, updated_at, labels }
    }

    /// What filters see of it.
    pub(super) fn field(&self, path: &[Vec<u8>]) -> Option<Cow<'_, str>> {
        let (first, rest) = path.split_first()?;
        match first.as_slice() {
            b"digest" => Some(self.digest.to_string().into()),
            b"labels" => {
                let name = rest.join(&b'.');
                Some(self.labels.get(std::str::from_utf8(&name).ok()?)?.into())
            }
            _ => None,
        }
    }
}

/// What is pinned in a repository under a digest, and can be read; `None` also for a blob whose bytes are known to be bad.
pub(super) fn pinned(
    view: &View,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<(PinRecord, u64)>> {
    let Some(pin) = view.pin(repository, digest).map_err(RegistryError::store)? else { return Ok(None) };
    Ok(view.blob(digest).map_err(RegistryError::store)?.map(|blob| (pin, blob.size)))
}

impl Registry {
    /// Tells of one blob.
    ///
    /// # Errors
    /// [`RegistryError::ContentUnknown`]; [`RegistryError::Denied`].
    pub async fn content_info(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        digest: &Digest,
    ) -> Result<ContentInfo> {
        let repositories = self.allowed_in(ctx, space, Action::See)?;
        let view = self.view()?;
        for repository in repositories {
            if let Some((pin, size)) = pinned(&view, repository, digest)? {
                return Ok(ContentInfo::of(digest, size, pin));
            }
        }
        Err(RegistryError::ContentUnknown { digest: *digest })
    }

    /// Lists content behind a digest, a page at a time. What is pinned in several of the repositories is listed once.
    ///
    /// # Errors
    /// [`RegistryError::Denied`].
    pub async fn list_content(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        filter: &ContentFilter,
        after: Option<&Digest>,
    ) -> Result<ContentPage> {
        let repositories = self.allowed_in(ctx, space, Action::See)?.into_iter().cloned().collect::<Vec<_>>();
        let (registry, filter, after) = (self.clone(), filter.clone(), after.copied());
        away(move || registry.page_of_content(&repositories, &filter, after.as_ref())).await
    }

    fn page_of_content(
        &self,
        repositories: &[RepositoryName],
        filter: &ContentFilter,
        after: Option<&Digest>,
    ) -> Result<ContentPage> {
        let view = self.view()?;
        let mut found: BTreeMap<Digest, PinRecord> = BTreeMap::new();
        // Behind this one a repository may have more than was read of it.
        let mut end: Option<Digest> = None;
        for repository in repositories {
            let page = view.pins(repository, after, PAGE).map_err(RegistryError::store)?;
            if page.len() == PAGE {
                let last = page.last().map(|(digest, _)| *digest);
                end = [end, last].into_iter().flatten().min();
            }
            for (digest, pin) in page {
                found.entry(digest).or_insert(pin);
            }
        }
        let (mut content, mut label_bytes, mut looked_at) = (Vec::new(), 0, 0);
        for (digest, pin) in found {
            if end.is_some_and(|end| digest > end) {
                break;
            }
            looked_at += 1;
            let blob = view.blob(&digest).map_err(RegistryError::store)?;
            let info = blob.map(|blob| ContentInfo::of(&digest, blob.size, pin));
            if let Some(info) = info.filter(|info| filter.takes(info)) {
                label_bytes +=
                    info.labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
                content.push(info);
            }
            if looked_at == PAGE || label_bytes > PAGE_LABEL_BYTES {
                return Ok(ContentPage { content, next: Some(digest) });
            }
        }
        Ok(ContentPage { content, next: end })
    }

    /// Opens content.
    ///
    /// # Errors
    /// As [`Registry::content_info`]; [`RegistryError::Internal`] where its bytes are damaged.
    pub async fn open_content(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        digest: &Digest,
    ) -> Result<ContentRead> {
        let repositories = self.allowed_in(ctx, space, Action::Pull)?;
        let view = self.view()?;
        let unknown = RegistryError::ContentUnknown { digest: *digest };
        let mut is_pinned = false;
        for repository in repositories {
            is_pinned |= pinned(&view, repository, digest)?.is_some();
        }
        if !is_pinned {
            return Err(unknown);
        }
        let body = self.engine().read_blob(digest).await.map_err(RegistryError::store)?;
        let body = BlobBody::from(body.ok_or(unknown)?);
        self.counters().blobs_pulled.add(1);
        Ok(ContentRead { size: body.len(), body })
    }
}
