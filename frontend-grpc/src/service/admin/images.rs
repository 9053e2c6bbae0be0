//! Images, artifacts and tags, as people look at them.

use super::registries::removed;
use super::{limit, number, some};
use crate::call::{Call, digest, reference_to_find, tag};
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_registry as registry;
use strata_registry::ImageQuery;

fn image(image: &registry::Image) -> v1::Image {
    v1::Image {
        name: image.name.to_string(),
        registry: image.name.registry().to_owned(),
        created_at_millis: image.created_at.0,
    }
}

fn artifact(artifact: registry::Artifact) -> v1::Artifact {
    v1::Artifact {
        digest: artifact.digest.to_string(),
        media_type: artifact.media_type,
        size: artifact.size,
        pushed_at_millis: artifact.pushed_at.0,
        pulled_at_millis: artifact.pulled_at.map(|at| at.0),
        tags: artifact.tags.iter().map(ToString::to_string).collect(),
    }
}

fn content(content: registry::Content) -> v1::Descriptor {
    let (media_type, digest, size) = (content.media_type, content.digest.to_string(), content.size);
    v1::Descriptor { media_type, digest, size, ..Default::default() }
}

fn platform(platform: registry::Platform) -> v1::Platform {
    v1::Platform {
        os: platform.os.unwrap_or_default(),
        architecture: platform.architecture.unwrap_or_default(),
        variant: platform.variant.unwrap_or_default(),
        os_version: platform.os_version.unwrap_or_default(),
    }
}

fn config(config: registry::ImageConfig) -> v1::ImageConfig {
    v1::ImageConfig {
        created: config.created.unwrap_or_default(),
        author: config.author.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        env: config.env,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        working_dir: config.working_dir.unwrap_or_default(),
        exposed_ports: config.exposed_ports,
        volumes: config.volumes,
        stop_signal: config.stop_signal.unwrap_or_default(),
        labels: config.labels.into_iter().collect(),
    }
}

fn step(entry: registry::HistoryEntry) -> v1::ImageHistoryEntry {
    v1::ImageHistoryEntry {
        created: entry.created.unwrap_or_default(),
        created_by: entry.created_by.unwrap_or_default(),
        author: entry.author.unwrap_or_default(),
        comment: entry.comment.unwrap_or_default(),
        empty_layer: entry.empty_layer,
    }
}

fn detail(detail: registry::ArtifactDetail) -> v1::AdminGetArtifactResponse {
    let layer = |layer: registry::Layer| v1::Layer {
        content: Some(content(layer.content)),
        created_by: layer.created_by.unwrap_or_default(),
    };
    let child = |child: registry::Child| v1::IndexEntry {
        content: Some(content(child.content)),
        platform: child.platform.map(platform),
        present: child.present,
    };
    let referrer = |referrer: registry::Referrer| v1::Descriptor {
        artifact_type: referrer.artifact_type.unwrap_or_default(),
        ..content(referrer.content)
    };
    v1::AdminGetArtifactResponse {
        artifact: Some(artifact(detail.artifact)),
        artifact_type: detail.artifact_type.unwrap_or_default(),
        total_size: detail.total_size,
        annotations: detail.annotations.into_iter().collect(),
        subject: detail.subject.map(|subject| subject.to_string()).unwrap_or_default(),
        config: detail.config.map(content),
        layers: detail.layers.into_iter().map(layer).collect(),
        manifests: detail.children.into_iter().map(child).collect(),
        platform: detail.platform.map(platform),
        image: detail.image.map(config),
        history: detail.history.into_iter().map(step).collect(),
        referrers: detail.referrers.into_iter().map(referrer).collect(),
    }
}

fn tag_info(entry: &registry::TagEntry) -> v1::TagInfo {
    v1::TagInfo {
        name: entry.tag.to_string(),
        digest: entry.digest.to_string(),
        updated_at_millis: entry.updated_at.0,
    }
}

pub(super) async fn list_images(
    call: &Call,
    asked: v1::AdminListImagesRequest,
) -> Result<v1::AdminListImagesResponse, Refusal> {
    let query = ImageQuery {
        registry: some(&asked.registry).map(str::to_owned),
        search: some(&asked.search).map(str::to_owned),
        after: some(&asked.page_token).map(str::to_owned),
        limit: limit(asked.page_size),
    };
    let page = call.registry().list_images(&call.context, query).await?;
    Ok(v1::AdminListImagesResponse {
        images: page.images.iter().map(image).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}

pub(super) async fn get_image(
    call: &Call,
    asked: v1::AdminGetImageRequest,
) -> Result<v1::AdminGetImageResponse, Refusal> {
    let name = call.repository(&asked.name)?;
    let found = call.registry().image(&call.context, &name).await?;
    Ok(v1::AdminGetImageResponse {
        image: Some(image(&found.image)),
        tags: found.tags as u64,
        artifacts: found.artifacts as u64,
    })
}

pub(super) async fn delete_image(
    call: &Call,
    asked: v1::AdminDeleteImageRequest,
) -> Result<v1::AdminDeleteImageResponse, Refusal> {
    let name = call.repository(&asked.name)?;
    let gone = call.registry().delete_repository(&call.context, &name).await?;
    Ok(v1::AdminDeleteImageResponse { removed: Some(removed(gone)) })
}

pub(super) async fn list_artifacts(
    call: &Call,
    asked: v1::AdminListArtifactsRequest,
) -> Result<v1::AdminListArtifactsResponse, Refusal> {
    let name = call.repository(&asked.image)?;
    let after = some(&asked.page_token).map(digest).transpose()?;
    let (registry, limit) = (call.registry(), limit(asked.page_size));
    let page = registry.list_artifacts(&call.context, &name, after.as_ref(), limit).await?;
    Ok(v1::AdminListArtifactsResponse {
        artifacts: page.artifacts.into_iter().map(artifact).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    })
}

pub(super) async fn get_artifact(
    call: &Call,
    asked: v1::AdminGetArtifactRequest,
) -> Result<v1::AdminGetArtifactResponse, Refusal> {
    let name = call.repository(&asked.image)?;
    let reference = reference_to_find(&asked.reference)?;
    Ok(detail(call.registry().artifact(&call.context, &name, &reference).await?))
}

pub(super) async fn list_tags(
    call: &Call,
    asked: v1::AdminListTagsRequest,
) -> Result<v1::AdminListTagsResponse, Refusal> {
    let name = call.repository(&asked.image)?;
    let (search, after) = (some(&asked.search), some(&asked.page_token));
    let (registry, limit) = (call.registry(), limit(asked.page_size));
    let page = registry.search_tags(&call.context, &name, search, after, limit).await?;
    Ok(v1::AdminListTagsResponse {
        tags: page.tags.iter().map(tag_info).collect(),
        next_page_token: page.next.unwrap_or_default(),
    })
}

pub(super) async fn get_tag(
    call: &Call,
    asked: v1::AdminGetTagRequest,
) -> Result<v1::AdminGetTagResponse, Refusal> {
    let (name, tag) = (call.repository(&asked.image)?, tag(&asked.tag)?);
    let found = call.registry().tag(&call.context, &name, &tag).await?;
    Ok(v1::AdminGetTagResponse {
        tag: Some(tag_info(&found.tag)),
        media_type: found.media_type,
        size: found.size,
        pushed_at_millis: found.pushed_at.0,
        pulled_at_millis: found.pulled_at.map(|at| at.0),
    })
}

pub(super) async fn get_tag_history(
    call: &Call,
    asked: v1::AdminGetTagHistoryRequest,
) -> Result<v1::AdminGetTagHistoryResponse, Refusal> {
    let (name, tag) = (call.repository(&asked.image)?, tag(&asked.tag)?);
    let (after, limit) = (number(&asked.page_token)?, limit(asked.page_size));
    let page = call.registry().tag_history(&call.context, &name, &tag, after, limit).await?;
    let step = |step: &registry::TagMove| v1::TagMove {
        id: step.number,
        at_millis: step.at.0,
        digest: step.digest.map(|digest| digest.to_string()).unwrap_or_default(),
    };
    Ok(v1::AdminGetTagHistoryResponse {
        moves: page.moves.iter().map(step).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    })
}
