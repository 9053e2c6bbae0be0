//! Tags as people look at them, their histories, and what is done to them without a push.

use super::{IMAGES_PAGE_MAX, ROWS_AT_ONCE, ROWS_MAX, contains};
use crate::access::Action;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::manifest::missing;
use crate::registry::{Registry, Result, away};
use strata_engine::UnixMillis;
use strata_engine::meta::{TagRecord, View};
use strata_types::{Digest, Reference, RepositoryName, Tag};

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEntry {
    /// Its name.
    pub tag: Tag,
    /// The manifest that it stands for.
    pub digest: Digest,
    /// When it was last set, be it to the same manifest.
    pub updated_at: UnixMillis,
}

/// A page of tags, in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagEntryPage {
    /// The tags.
    pub tags: Vec<TagEntry>,
    /// Where more may follow: ask again behind this text. The next page can be empty.
    pub next: Option<String>,
}

/// What is known of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDetail {
    /// The tag.
    pub tag: TagEntry,
    /// The media type of its manifest.
    pub media_type: String,
    /// The length of its manifest, bytes.
    pub size: u64,
    /// When its manifest was pushed.
    pub pushed_at: UnixMillis,
    /// When its manifest was last pulled, if it ever was.
    pub pulled_at: Option<UnixMillis>,
}

/// One move of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagMove {
    /// The number of the event that tells it.
    pub number: u64,
    /// What the tag stood for from then on; `None` where it was deleted.
    pub digest: Option<Digest>,
    /// When.
    pub at: UnixMillis,
}

/// A page of moves, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMovePage {
    /// The moves.
    pub moves: Vec<TagMove>,
    /// Where more may follow: ask again behind this number.
    pub next: Option<u64>,
}

/// What somebody who sets a tag expects of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagExpectation {
    /// Nothing.
    Any,
    /// That it is not there.
    Absent,
    /// That it is there.
    Present,
    /// That it stands for this.
    At(Digest),
}

impl TagExpectation {
    pub(crate) fn holds(self, found: Option<Digest>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::At(digest) => found == Some(digest),
        }
    }
}

impl Registry {
    /// Lists the tags whose name holds `search`, those behind `after`; at most `limit`, and [`IMAGES_PAGE_MAX`].
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn search_tags(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        search: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<TagEntryPage> {
        self.authorize(ctx, Action::See, repository)?;
        let (registry, repository) = (self.clone(), repository.clone());
        let (search, after) = (search.unwrap_or_default().to_owned(), after.map(str::to_owned));
        away(move || {
            let view = registry.view()?;
            Self::require_repository(&view, &repository)?;
            read_tags(&view, &repository, &search, after, limit.min(IMAGES_PAGE_MAX))
        })
        .await
    }

    /// Tells about one tag.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`]; [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`]; the store's
    /// condition.
    pub async fn tag(&self, ctx: &Context, repository: &RepositoryName, tag: &Tag) -> Result<TagDetail> {
        self.authorize(ctx, Action::See, repository)?;
        let view = self.view()?;
        let record = view.tag(repository, tag).map_err(RegistryError::store)?;
        match record {
            Some(record) => self.detail_of_tag(&view, repository, tag, record),
            None => Err(missing(&view, repository, &Reference::Tag(tag.clone()))?),
        }
    }

    fn detail_of_tag(
        &self,
        view: &View,
        repository: &RepositoryName,
        tag: &Tag,
        record: TagRecord,
    ) -> Result<TagDetail> {
        let TagRecord { digest, updated_at } = record;
        let manifest = view.manifest(repository, &digest).map_err(RegistryError::store)?;
        let manifest = manifest.ok_or_else(|| RegistryError::corrupt(format!("tag {tag} leads nowhere")))?;
        Ok(TagDetail {
            tag: TagEntry { tag: tag.clone(), digest, updated_at },
            media_type: manifest.media_type,
            size: manifest.size,
            pushed_at: manifest.pushed_at,
            pulled_at: self.pulled_at(view, repository, &digest)?,
        })
    }

    /// Points a tag to a manifest that the repository has; answers whether the tag is new. One that stands for something else moves.
    ///
    /// # Errors
    /// [`RegistryError::TagMoved`] where the tag is not what is expected; [`RegistryError::ManifestUnknown`];
    /// [`RegistryError::NameUnknown`]; [`RegistryError::Unauthorized`]; [`RegistryError::Denied`];
    /// [`RegistryError::Contended`] and the store's condition.
    pub async fn put_tag(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
        expected: TagExpectation,
    ) -> Result<bool> {
        let attempt = Attempt::on_tag("tag.set", repository, tag);
        self.told(ctx, attempt, self.authorize(ctx, Action::CreateTag, repository))?;
        self.transact(ctx, |view, batch| {
            let old = view.tag(repository, tag).map_err(RegistryError::store)?.map(|tag| tag.digest);
            if !expected.holds(old) {
                return Err(RegistryError::TagMoved { tag: tag.clone(), digest: old });
            }
            if !view.has_manifest(repository, digest).map_err(RegistryError::store)? {
                return Err(missing(view, repository, &Reference::Digest(*digest))?);
            }
            batch.set_tag(view, repository, tag, digest).map_err(RegistryError::store)?;
            Ok(old.is_none())
        })
        .await
    }

    /// Lists the moves of a tag, oldest first, those behind the number `after`; also of a tag that was deleted.
    ///
    /// # Errors
    /// [`RegistryError::ManifestUnknown`] where there never was such a tag; [`RegistryError::NameUnknown`];
    /// [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn tag_history(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        tag: &Tag,
        after: Option<u64>,
        limit: usize,
    ) -> Result<TagMovePage> {
        self.authorize(ctx, Action::See, repository)?;
        let (registry, repository, tag) = (self.clone(), repository.clone(), tag.clone());
        let limit = limit.min(IMAGES_PAGE_MAX);
        away(move || {
            let view = registry.view()?;
            Self::require_repository(&view, &repository)?;
            let found =
                view.tag_history(&repository, &tag, after, limit + 1).map_err(RegistryError::store)?;
            if found.is_empty() && after.is_none() {
                return Err(missing(&view, &repository, &Reference::Tag(tag))?);
            }
            let more = found.len() > limit;
            let moves = found.into_iter().take(limit);
            let moves: Vec<TagMove> = moves
                .map(|(number, record)| TagMove { number, digest: record.target, at: record.at })
                .collect();
            let next = moves.last().filter(|_| more).map(|last| last.number);
            Ok(TagMovePage { moves, next })
        })
        .await
    }
}

fn read_tags(
    view: &View,
    repository: &RepositoryName,
    search: &str,
    mut after: Option<String>,
    limit: usize,
) -> Result<TagEntryPage> {
    let (mut tags, mut next, mut rows) = (Vec::new(), None, 0);
    while rows < ROWS_MAX {
        let page = view.tags(repository, after.as_deref(), ROWS_AT_ONCE).map_err(RegistryError::store)?;
        let is_last = page.len() < ROWS_AT_ONCE;
        for (tag, TagRecord { digest, updated_at }) in page {
            rows += 1;
            after = Some(tag.as_str().to_owned());
            if contains(tag.as_str(), search) {
                // One more than asked for tells whether there are more.
                if tags.len() == limit {
                    return Ok(TagEntryPage { tags, next });
                }
                next.clone_from(&after);
                tags.push(TagEntry { tag, digest, updated_at });
            }
        }
        if is_last {
            return Ok(TagEntryPage { tags, next: None });
        }
    }
    Ok(TagEntryPage { tags, next: after })
}
