//! Labels are set, content is deleted.

use super::labels::{Labels, checked};
use super::read::{ContentInfo, pinned};
use super::space::ContentSpace;
use crate::access::Action;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result};
use strata_engine::meta::PinRecord;
use strata_types::{Digest, RepositoryName};

/// A change of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelChange {
    /// The labels that are meant.
    pub labels: Labels,
    /// What is to be changed: `labels` for all of them, `labels.NAME` for one, which goes where it has no value. None: all of them.
    pub paths: Vec<String>,
}

impl LabelChange {
    /// The labels that come of those that are there.
    fn apply(&self, mut present: Labels) -> Result<Labels> {
        if self.paths.is_empty() {
            return checked(self.labels.clone());
        }
        for path in &self.paths {
            if let Some(name) = path.strip_prefix("labels.") {
                let value = self.labels.get(name).cloned().unwrap_or_default();
                present.insert(name.to_owned(), value);
            } else if path == "labels" {
                present.clone_from(&self.labels);
            } else {
                let why = format!("{path:?} cannot be changed, only labels can");
                return Err(RegistryError::FieldInvalid { field: "update_mask", why });
            }
        }
        checked(present)
    }
}

impl Registry {
    /// Sets labels of content.
    ///
    /// # Errors
    /// [`RegistryError::ContentUnknown`]; [`RegistryError::FieldInvalid`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn update_content(
        &self,
        ctx: &Context,
        space: &ContentSpace,
        digest: &Digest,
        change: &LabelChange,
    ) -> Result<ContentInfo> {
        let repositories = self.changeable_in(ctx, space, Action::Push, ("content.update", digest))?;
        self.transact(ctx, |view, batch| {
            for repository in &repositories {
                let Some((pin, size)) = pinned(view, repository, digest)? else { continue };
                let labels = change.apply(pin.labels.clone())?;
                let updated_at = batch.at().max(pin.created_at);
                let next = PinRecord { created_at: pin.created_at, updated_at, labels };
                let target = format!("{repository}@{digest}");
                batch.set_detail(ctx.event_detail_of("content.update", &target, "done"));
                batch.update_pin(repository, digest, &pin, &next);
                batch.note(Some(repository));
                return Ok(ContentInfo::of(digest, size, next));
            }
            Err(RegistryError::ContentUnknown { digest: *digest })
        })
        .await
    }

    /// Deletes content: it is no longer pinned. Its bytes are the collector's, as soon as nothing else keeps them and the grace is over.
    ///
    /// # Errors
    /// [`RegistryError::ContentUnknown`]; [`RegistryError::Denied`]; the store's condition.
    pub async fn delete_content(&self, ctx: &Context, space: &ContentSpace, digest: &Digest) -> Result<()> {
        let mut is_deleted = false;
        for repository in self.changeable_in(ctx, space, Action::Delete, ("content.delete", digest))? {
            is_deleted |= self.unpin(ctx, repository, digest).await?;
        }
        if !is_deleted {
            return Err(RegistryError::ContentUnknown { digest: *digest });
        }
        self.counters().content_deleted.add(1);
        Ok(())
    }

    async fn unpin(&self, ctx: &Context, repository: &RepositoryName, digest: &Digest) -> Result<bool> {
        self.transact(ctx, |view, batch| {
            let is_there = batch.unpin_blob(view, repository, digest).map_err(RegistryError::store)?;
            if is_there {
                let target = format!("{repository}@{digest}");
                batch.set_detail(ctx.event_detail_of("content.delete", &target, "done"));
                batch.note(Some(repository));
            }
            Ok(is_there)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        let entries = text.split(' ').filter_map(|entry| entry.split_once('='));
        entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn sets_what_the_paths_name() {
        for (given, paths, expected) in [
            ("a=9 c=3", "", "a=9 c=3"),
            ("", "", ""),
            ("a=9 c=3", "labels", "a=9 c=3"),
            ("a=9 c=3", "labels.a", "a=9 b=2"),
            ("a=9 c=3", "labels.a labels.c", "a=9 b=2 c=3"),
            ("a=9", "labels.b", "a=1"),
            ("a=", "labels.a", "b=2"),
            ("x.y=1", "labels.x.y", "a=1 b=2 x.y=1"),
            ("c=3", "labels.a labels", "c=3"),
        ] {
            let paths = paths.split_whitespace().map(str::to_owned).collect();
            let change = LabelChange { labels: labels(given), paths };
            assert_eq!(change.apply(labels("a=1 b=2")).unwrap(), labels(expected), "{change:?}");
        }
        for path in ["size", "labelsx", "Labels", "", "created_at"] {
            let change = LabelChange { labels: Labels::new(), paths: vec![path.to_owned()] };
            assert_eq!(change.apply(Labels::new()).unwrap_err().outcome().as_str(), "REQUEST_INVALID");
        }
    }
}
