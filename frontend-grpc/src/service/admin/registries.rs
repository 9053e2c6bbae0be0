//! Registries and their members.

use super::accounts::role;
use super::{limit, some};
use crate::call::{Call, invalid};
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_registry as registry;

fn info(entry: registry::RegistryEntry) -> v1::RegistryInfo {
    let kind = match entry.kind {
        registry::RegistryKind::Standard => v1::RegistryKind::Standard,
        registry::RegistryKind::Cache => v1::RegistryKind::Cache,
    };
    v1::RegistryInfo {
        name: entry.name.to_string(),
        kind: kind.into(),
        anonymous_pull: entry.anonymous_pull,
        public: entry.public,
        description: entry.description,
        quota_bytes: entry.quota,
        created_at_millis: entry.created_at.0,
        created_by: entry.created_by,
        revision: entry.revision,
    }
}

pub(super) fn removed(removed: registry::Removed) -> v1::Removed {
    let registry::Removed { repositories, manifests, tags, blobs, uploads } = removed;
    let repositories = repositories.into_iter().map(|name| name.to_string()).collect();
    v1::Removed { repositories, manifests, tags, blobs, uploads }
}

pub(super) async fn list_registries(
    call: &Call,
    asked: v1::AdminListRegistriesRequest,
) -> Result<v1::AdminListRegistriesResponse, Refusal> {
    let (after, search) = (some(&asked.page_token), some(&asked.search));
    let page = call.registry().registries(&call.context, after, limit(asked.page_size), search).await?;
    Ok(v1::AdminListRegistriesResponse {
        registries: page.registries.into_iter().map(info).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}

pub(super) async fn create_registry(
    call: &Call,
    asked: v1::AdminCreateRegistryRequest,
) -> Result<v1::AdminCreateRegistryResponse, Refusal> {
    let kind = match v1::RegistryKind::try_from(asked.kind) {
        Ok(v1::RegistryKind::Unspecified | v1::RegistryKind::Standard) => registry::RegistryKind::Standard,
        Ok(v1::RegistryKind::Cache) => registry::RegistryKind::Cache,
        Err(_) => return Err(invalid("kind", "there is no such kind")),
    };
    let new = registry::NewRegistry {
        name: asked.name,
        kind,
        anonymous_pull: asked.anonymous_pull,
        public: asked.public.unwrap_or(true),
        description: asked.description,
        quota: asked.quota_bytes,
    };
    let made = call.registry().create_registry(&call.context, new).await?;
    Ok(v1::AdminCreateRegistryResponse { registry: Some(info(made)) })
}

pub(super) async fn get_registry(
    call: &Call,
    asked: v1::AdminGetRegistryRequest,
) -> Result<v1::AdminGetRegistryResponse, Refusal> {
    let found = call.registry().registry(&call.context, &asked.name).await?;
    let usage = call.registry().registry_usage(&call.context, &asked.name).await?;
    let figures = v1::RegistryFigures {
        images: usage.repositories,
        artifacts: usage.manifests,
        tags: usage.tags,
        logical_bytes: usage.logical_bytes,
        unique_bytes: usage.unique_bytes,
    };
    Ok(v1::AdminGetRegistryResponse { registry: Some(info(found)), figures: Some(figures) })
}

pub(super) async fn change_registry(
    call: &Call,
    asked: v1::AdminChangeRegistryRequest,
) -> Result<v1::AdminChangeRegistryResponse, Refusal> {
    use v1::admin_change_registry_request::Quota;
    let quota = match asked.quota {
        Some(Quota::QuotaBytes(bytes)) => Some(Some(bytes)),
        Some(Quota::NoQuota(true)) => Some(None),
        Some(Quota::NoQuota(false)) | None => None,
    };
    let wanted = registry::RegistryChange {
        anonymous_pull: asked.anonymous_pull,
        public: asked.public,
        description: asked.description,
        quota,
    };
    let registry = call.registry();
    let changed = registry.change_registry(&call.context, &asked.name, wanted, asked.revision).await?;
    Ok(v1::AdminChangeRegistryResponse { registry: Some(info(changed)) })
}

pub(super) async fn delete_registry(
    call: &Call,
    asked: v1::AdminDeleteRegistryRequest,
) -> Result<v1::AdminDeleteRegistryResponse, Refusal> {
    let registry = call.registry();
    let gone = registry.delete_registry(&call.context, &asked.name, asked.force, asked.revision).await?;
    Ok(v1::AdminDeleteRegistryResponse { removed: Some(removed(gone)) })
}

pub(super) async fn list_members(
    call: &Call,
    asked: v1::AdminListMembersRequest,
) -> Result<v1::AdminListMembersResponse, Refusal> {
    let (after, limit) = (some(&asked.page_token), limit(asked.page_size));
    let page = call.registry().members(&call.context, &asked.registry, after, limit).await?;
    let member = |(account, of): &(std::sync::Arc<registry::Account>, registry::Role)| v1::Member {
        account: account.name.to_string(),
        role: role(*of).into(),
    };
    Ok(v1::AdminListMembersResponse {
        members: page.members.iter().map(member).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}
