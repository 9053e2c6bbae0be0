//! Registries: made, listed, changed and deleted by administrators; seen by all who see something of them.

use super::accounts::{DIRECTORY_PAGE_MAX, creator};
use super::change::check_revision;
use super::field;
use super::registry::{RegistryEntry, RegistryKind};
use super::row::{self, REGISTRIES};
use crate::access::InstanceAction;
use crate::audit::Attempt;
use crate::context::Context;
use crate::error::RegistryError;
use crate::registry::{Registry, Result, away};
use strata_engine::meta::Usage;

/// A registry to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRegistry {
    /// Its name: a segment of a repository name, at most 64 bytes.
    pub name: String,
    /// How it gets its content.
    pub kind: RegistryKind,
    /// Whether everybody may pull, without an account.
    pub anonymous_pull: bool,
    /// Whether it exists on public listeners.
    pub public: bool,
    /// What it is for; one line.
    pub description: String,
    /// Most bytes that its content may have; `None` for no limit.
    pub quota: Option<u64>,
}

impl NewRegistry {
    /// An ordinary registry: for pushes, for those who have a role in it, on every listener, without a limit.
    pub fn standard(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: RegistryKind::Standard,
            anonymous_pull: false,
            public: true,
            description: String::new(),
            quota: None,
        }
    }
}

/// What is to be changed of a registry; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryChange {
    /// Whether everybody may pull.
    pub anonymous_pull: Option<bool>,
    /// Whether it exists on public listeners.
    pub public: Option<bool>,
    /// Another description.
    pub description: Option<String>,
    /// Another quota, or none.
    pub quota: Option<Option<u64>>,
}

/// A page of registries, in the order of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPage {
    /// The registries.
    pub registries: Vec<RegistryEntry>,
    /// Where more may follow: ask again behind this name. The next page can be empty.
    pub next: Option<String>,
}

impl Registry {
    /// Makes a registry.
    ///
    /// # Errors
    /// [`RegistryError::RegistryExists`]; [`RegistryError::FieldInvalid`]; [`RegistryError::Unauthorized`], [`RegistryError::Denied`],
    /// [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn create_registry(&self, ctx: &Context, new: NewRegistry) -> Result<RegistryEntry> {
        self.authorize_change(
            ctx,
            InstanceAction::Manage,
            Attempt::on_instance("registry.create", &new.name),
        )?;
        field::name(&new.name)?;
        field::description(&new.description)?;
        let (told, by) = (ctx.clone(), creator(ctx));
        self.change(ctx, move |change| {
            let entry = RegistryEntry {
                kind: new.kind,
                anonymous_pull: new.anonymous_pull,
                public: new.public,
                description: new.description.clone(),
                quota: new.quota,
                created_by: by.clone(),
                ..RegistryEntry::standard(&new.name, change.batch.at())
            };
            if !change.create_registry(entry.clone())? {
                return Err(RegistryError::RegistryExists { name: new.name.clone() });
            }
            change.note(&told, "registry.create", &new.name);
            Ok(entry)
        })
        .await
    }

    /// Lists the registries of which the one who asks sees something, in the order of names, at most `limit` (and
    /// [`DIRECTORY_PAGE_MAX`]), behind the name `after`; with `search`, those whose name contains it.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`]; the store's condition.
    pub async fn registries(
        &self,
        ctx: &Context,
        after: Option<&str>,
        limit: usize,
        search: Option<&str>,
    ) -> Result<RegistryPage> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        let (registry, ctx) = (self.clone(), ctx.clone());
        let (after, search) = (after.map(str::to_owned), search.map(str::to_owned));
        let limit = limit.min(DIRECTORY_PAGE_MAX);
        away(move || registry.read_registries(&ctx, after, limit, search.as_deref())).await
    }

    /// From the store: in open mode a row is in memory a moment later than there.
    fn read_registries(
        &self,
        ctx: &Context,
        after: Option<String>,
        limit: usize,
        search: Option<&str>,
    ) -> Result<RegistryPage> {
        /// Rows that are looked through for one page.
        const ROWS_MAX: usize = 10_000;
        const PAGE: usize = 128;
        let view = self.view()?;
        let (mut registries, mut next, mut rows) = (Vec::new(), after, 0);
        while registries.len() < limit && rows < ROWS_MAX {
            let after = next.as_deref().map(|name| row::key(REGISTRIES, name));
            let page = view.settings(REGISTRIES, after.as_deref(), PAGE).map_err(RegistryError::store)?;
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                if registries.len() == limit {
                    return Ok(RegistryPage { registries, next });
                }
                rows += 1;
                let name = row::name_of(REGISTRIES, &key)?;
                next = Some(name.to_owned());
                if self.shows_registry(ctx, name) && search.is_none_or(|text| name.contains(text)) {
                    registries.push(row::decode_registry(name, &value)?);
                }
            }
            if is_last {
                return Ok(RegistryPage { registries, next: None });
            }
        }
        Ok(RegistryPage { registries, next })
    }

    /// A registry.
    ///
    /// # Errors
    /// [`RegistryError::RegistryUnknown`], also where the one who asks sees nothing of it; [`RegistryError::Unauthorized`]; the store's
    /// condition.
    pub async fn registry(&self, ctx: &Context, name: &str) -> Result<RegistryEntry> {
        self.authorize_instance(ctx, InstanceAction::Browse)?;
        let unknown = || RegistryError::RegistryUnknown { name: name.to_owned() };
        if !self.shows_registry(ctx, name) {
            return Err(unknown());
        }
        let stored = self.view()?.setting(&row::key(REGISTRIES, name)).map_err(RegistryError::store)?;
        row::decode_registry(name, &stored.ok_or_else(unknown)?)
    }

    /// What a registry holds now, kept up to date by every commit: costs one look-up, however much it is.
    ///
    /// # Errors
    /// As [`Registry::registry`].
    pub async fn registry_usage(&self, ctx: &Context, name: &str) -> Result<Usage> {
        self.registry(ctx, name).await?;
        self.view()?.usage(name).map_err(RegistryError::store)
    }

    /// Changes a registry. With `revision`, only if it is that one still. What it changes counts from the next request on.
    ///
    /// # Errors
    /// [`RegistryError::RegistryUnknown`]; [`RegistryError::RevisionMismatch`]; [`RegistryError::FieldInvalid`];
    /// [`RegistryError::Unauthorized`], [`RegistryError::Denied`], [`RegistryError::OperatorsOnly`]; the store's condition.
    pub async fn change_registry(
        &self,
        ctx: &Context,
        name: &str,
        wanted: RegistryChange,
        revision: Option<u64>,
    ) -> Result<RegistryEntry> {
        self.authorize_managed(ctx, "registry.change", name)?;
        wanted.description.as_deref().map_or(Ok(()), field::description)?;
        let (told, name) = (ctx.clone(), name.to_owned());
        self.change(ctx, move |change| {
            let seen = change.registry(&name)?;
            check_revision(revision, seen.value.revision)?;
            let mut entry = seen.value.clone();
            entry.anonymous_pull = wanted.anonymous_pull.unwrap_or(entry.anonymous_pull);
            entry.public = wanted.public.unwrap_or(entry.public);
            entry.quota = wanted.quota.unwrap_or(entry.quota);
            if let Some(description) = &wanted.description {
                entry.description.clone_from(description);
            }
            if entry == seen.value {
                return Ok(entry);
            }
            let entry = change.put_registry(&seen, entry)?;
            change.note(&told, "registry.change", &name);
            Ok(entry)
        })
        .await
    }

    /// Refuses those who may not manage a registry; and says that it is not there where that is so.
    pub(super) fn authorize_managed(&self, ctx: &Context, action: &'static str, name: &str) -> Result<()> {
        self.authorize_change(ctx, InstanceAction::Manage, Attempt::on_instance(action, name))?;
        if self.snapshot().registry(name).is_some_and(|entry| !entry.is_visible_in(ctx.scope)) {
            return Err(RegistryError::RegistryUnknown { name: name.to_owned() });
        }
        Ok(())
    }
}
