//! The repositories of the registry (`_catalog`, an extension that the distribution-spec reserves).

use crate::access::InstanceAction;
use crate::context::Context;
use crate::directory::behind;
use crate::error::RegistryError;
use crate::page::{Page, RepositoryPage};
use crate::registry::{Registry, Result, away};

impl Registry {
    /// Lists repositories in the order of their names' bytes; only those that the principal may see.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn catalog(&self, ctx: &Context, page: &Page) -> Result<RepositoryPage> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        let (registry, ctx, page) = (self.clone(), ctx.clone(), page.clone());
        away(move || registry.read_catalog(&ctx, &page)).await
    }

    fn read_catalog(&self, ctx: &Context, page: &Page) -> Result<RepositoryPage> {
        let view = self.view()?;
        let entries = page.entries();
        let mut repositories = Vec::new();
        let mut last = page.last.clone();
        let mut is_end = entries == 0;
        while !is_end && repositories.len() <= entries {
            // One more than asked for tells whether there are more.
            let wanted = entries + 1 - repositories.len();
            let found = view.repositories(last.as_deref(), wanted).map_err(RegistryError::store)?;
            is_end = found.len() < wanted;
            last = found.last().map(|(name, _)| name.as_str().to_owned());
            for (name, _) in found {
                if self.shows(ctx, &name) {
                    repositories.push(name);
                } else if let Some((registry, _)) = name.as_str().split_once('/')
                    && !self.shows_registry(ctx, registry)
                {
                    // Nothing of it is shown: on behind all of it.
                    (last, is_end) = (Some(behind(registry)), false);
                    break;
                }
            }
        }
        let more = repositories.len() > entries;
        repositories.truncate(entries);
        Ok(RepositoryPage { repositories, more })
    }
}
