//! Images and their artifacts.

use super::found;
use crate::document::{ArtifactDetail, Artifacts, ImageDetail, Images, Removed};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, empty};
use http::StatusCode;
use std::borrow::Cow;
use strata_registry::ImageQuery;
use strata_types::{Digest, Reference};

/// `GET /api/v1/images[?registry=&search=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let slice = exchange.slice()?;
    let given = |key| exchange.query.get(key).filter(|text| !text.is_empty()).map(Cow::into_owned);
    let query = ImageQuery {
        registry: given("registry"),
        search: given("search"),
        after: slice.cursor,
        limit: slice.limit,
    };
    Ok(found(&Images::from(exchange.registry().list_images(&exchange.context, query).await?)))
}

/// `GET /api/v1/images/{name}`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let image = exchange.registry().image(&exchange.context, &exchange.repository()?).await?;
    Ok(found(&ImageDetail::from(image)))
}

/// `DELETE /api/v1/images/{name}`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let repository = exchange.repository()?;
    let removed = exchange.registry().delete_repository(&exchange.context, &repository).await?;
    Ok(found(&Removed::from(removed)))
}

/// `GET /api/v1/images/{name}/artifacts[?limit=&cursor=]`
pub(crate) async fn artifacts(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, slice) = (exchange.repository()?, exchange.slice()?);
    let after = slice.after(Digest::parse)?;
    let context = &exchange.context;
    let page = exchange.registry().list_artifacts(context, &repository, after.as_ref(), slice.limit).await?;
    Ok(found(&Artifacts::from(page)))
}

/// `GET /api/v1/images/{name}/artifacts/{reference}`
pub(crate) async fn artifact(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, reference) = (exchange.repository()?, exchange.reference_to_find()?);
    let detail = exchange.registry().artifact(&exchange.context, &repository, &reference).await?;
    Ok(found(&ArtifactDetail::from(detail)))
}

/// `DELETE /api/v1/images/{name}/artifacts/{reference}`: by digest only, so that nobody deletes more than a tag by naming one.
pub(crate) async fn delete_artifact(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, digest) = (exchange.repository()?, exchange.digest()?);
    let reference = Reference::Digest(digest);
    exchange.registry().delete_manifest(&exchange.context, &repository, &reference).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
