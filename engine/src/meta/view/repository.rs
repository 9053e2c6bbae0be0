//! Repositories, their tags and the history of tags.

use super::View;
use crate::error::EngineError;
use crate::meta::key::{self, Key, table};
use crate::meta::record::{HistoryRecord, Presence, RepositoryRecord, TagRecord};
use strata_types::{Digest, RepositoryName, Tag};

#[expect(clippy::missing_errors_doc, reason = "all return what MetaView::get documents")]
impl View {
    /// A repository.
    pub fn repository(&self, name: &RepositoryName) -> Result<Option<RepositoryRecord>, EngineError> {
        self.record(&key::repository(name))
    }

    /// Repositories of the store, by name.
    pub fn repositories(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(RepositoryName, RepositoryRecord)>, EngineError> {
        let after = after.map(key::repository_after);
        self.page(&key::whole(table::REPOSITORY), after.as_deref(), limit, |key, record| match key {
            Key::Repository { repository } => Some((repository, record)),
            _ => None,
        })
    }

    /// A tag.
    pub fn tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<Option<TagRecord>, EngineError> {
        self.record(&key::tag(repository, tag))
    }

    /// Tags of a repository, in ASCII order.
    pub fn tags(
        &self,
        repository: &RepositoryName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Tag, TagRecord)>, EngineError> {
        let after = after.map(|after| key::tag_after(repository, after));
        self.page(&key::tags(repository), after.as_deref(), limit, |key, record| match key {
            Key::Tag { tag, .. } => Some((tag, record)),
            _ => None,
        })
    }

    /// Tags that point to a manifest, in ASCII order.
    pub fn tags_of(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        after: Option<&Tag>,
        limit: usize,
    ) -> Result<Vec<Tag>, EngineError> {
        let after = after.map(|after| key::manifest_tag(repository, digest, after));
        let prefix = key::manifest_tags(repository, digest);
        self.page(&prefix, after.as_deref(), limit, |key, _: Presence| match key {
            Key::ManifestTag { tag, .. } => Some(tag),
            _ => None,
        })
    }

    /// Moves of a tag, oldest first, each with the number of the event that tells it.
    pub fn tag_history(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, HistoryRecord)>, EngineError> {
        let after = after.map(|after| key::tag_move(repository, tag, after));
        self.page(&key::tag_moves(repository, tag), after.as_deref(), limit, |key, record| match key {
            Key::TagMove { event, .. } => Some((event, record)),
            _ => None,
        })
    }
}
