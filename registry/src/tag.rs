//! The tags of a repository (distribution-spec end-8a, end-8b). They are set by [`Registry::put_manifest`] and removed by
//! [`Registry::delete_manifest`].

use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::page::{Page, TagPage};
use crate::registry::{Registry, Result, away};
use strata_types::RepositoryName;

impl Registry {
    /// Lists tags in the order of their bytes.
    ///
    /// # Errors
    /// [`RegistryError::NameUnknown`]; [`RegistryError::Denied`].
    pub async fn list_tags(
        &self,
        ctx: &Context,
        repository: &RepositoryName,
        page: &Page,
    ) -> Result<TagPage> {
        self.authorize(ctx, Action::See, repository)?;
        let (registry, repository, page) = (self.clone(), repository.clone(), page.clone());
        away(move || registry.read_tags(&repository, &page)).await
    }

    fn read_tags(&self, repository: &RepositoryName, page: &Page) -> Result<TagPage> {
        let view = self.view()?;
        let entries = page.entries();
        // One more than asked for tells whether there are more.
        let found = view.tags(repository, page.last.as_deref(), entries + 1).map_err(RegistryError::store)?;
        if found.is_empty() {
            Self::require_repository(&view, repository)?;
        }
        let more = entries > 0 && found.len() > entries;
        let tags = found.into_iter().take(entries).map(|(tag, _)| tag).collect();
        Ok(TagPage { tags, more })
    }
}
