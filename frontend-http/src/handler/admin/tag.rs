//! Tags of an image. The entity tag of one is the digest that it stands for.

use super::found;
use crate::body::RequestBody;
use crate::condition;
use crate::document::{TagDetail, TagHistory, TagRequest, Tags};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, empty, header, no_content};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use strata_registry::TagExpectation;
use strata_types::{Digest, ErrorCode, Failure, Reference, Tag};

/// `GET /api/v1/images/{name}/tags[?search=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, slice) = (exchange.repository()?, exchange.slice()?);
    let search = exchange.query.get("search");
    let (registry, context) = (exchange.registry(), &exchange.context);
    let after = slice.cursor.as_deref();
    let page = registry.search_tags(context, &repository, search.as_deref(), after, slice.limit).await?;
    Ok(found(&Tags::from(page)))
}

/// `GET /api/v1/images/{name}/tags/{tag}`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, tag) = (exchange.repository()?, to_find(exchange)?);
    let detail = exchange.registry().tag(&exchange.context, &repository, &tag).await?;
    let mut response = found(&TagDetail::from(detail.clone()));
    response.headers_mut().insert(ETAG, header::entity_tag(&detail.tag.digest));
    Ok(response)
}

/// `PUT /api/v1/images/{name}/tags/{tag}`: `201` where the tag is new, else `204`.
pub(crate) async fn put(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let (repository, tag) = (exchange.repository()?, Tag::parse(exchange.parameter())?);
    let expected = expected(exchange.headers)?;
    let request: TagRequest = exchange.json(body).await?;
    let digest = Digest::parse(&request.digest)?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    let is_new = registry.put_tag(context, &repository, &tag, &digest, expected).await?;
    let mut response = if is_new { no_content(StatusCode::CREATED) } else { empty(StatusCode::NO_CONTENT) };
    response.headers_mut().insert(ETAG, header::entity_tag(&digest));
    Ok(response)
}

/// `DELETE /api/v1/images/{name}/tags/{tag}`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, tag) = (exchange.repository()?, to_find(exchange)?);
    let reference = Reference::Tag(tag);
    exchange.registry().delete_manifest(&exchange.context, &repository, &reference).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// `GET /api/v1/images/{name}/tags/{tag}/history[?limit=&cursor=]`
pub(crate) async fn history(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, tag, slice) = (exchange.repository()?, to_find(exchange)?, exchange.slice()?);
    let after = slice.after(str::parse::<u64>)?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    let page = registry.tag_history(context, &repository, &tag, after, slice.limit).await?;
    Ok(found(&TagHistory::from(page)))
}

/// The tag of the path, which should be there: what can be no tag is none.
fn to_find(exchange: &Exchange<'_>) -> Result<Tag, Refusal> {
    Tag::parse(exchange.parameter())
        .map_err(|error| Refusal::new(ErrorCode::ManifestUnknown, format!("there is no such tag: {error}")))
}

/// What the request expects the tag to be.
fn expected(headers: &HeaderMap) -> Result<TagExpectation, Refusal> {
    let given = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default().trim());
    let (mut at, mut not_at) = (given(IF_MATCH), given(IF_NONE_MATCH));
    match (at.next(), not_at.next(), at.next().or(not_at.next())) {
        (None, None, None) => Ok(TagExpectation::Any),
        (Some("*"), None, None) => Ok(TagExpectation::Present),
        (None, Some("*"), None) => Ok(TagExpectation::Absent),
        (Some(line), None, None) => {
            let mut tags = condition::entity_tags(line);
            let digest = tags.next().filter(|tag| tag.strong).and_then(|tag| Digest::parse(tag.opaque).ok());
            match (digest, tags.next()) {
                (Some(digest), None) => Ok(TagExpectation::At(digest)),
                (None, None) => Err(Refusal::precondition_failed()),
                (_, Some(_)) => Err(one_condition()),
            }
        }
        _ => Err(one_condition()),
    }
}

fn one_condition() -> Refusal {
    let text = "a tag is set under one condition at most: If-Match with one digest or *, or If-None-Match: *";
    Refusal::new(Failure::RequestInvalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn conditions_on_a_tag() {
        let digest = Digest::Sha256([1; 32]);
        let quoted = format!("\"{digest}\"");
        let read = |lines: &[(HeaderName, &str)]| {
            let lines =
                lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
            expected(&lines.collect()).map_err(|refusal| refusal.into_response().status().as_u16())
        };
        assert_eq!(read(&[]), Ok(TagExpectation::Any));
        assert_eq!(read(&[(IF_MATCH, "*")]), Ok(TagExpectation::Present));
        assert_eq!(read(&[(IF_NONE_MATCH, "*")]), Ok(TagExpectation::Absent));
        assert_eq!(read(&[(IF_MATCH, &quoted)]), Ok(TagExpectation::At(digest)));
        assert_eq!(read(&[(IF_MATCH, "\"7\"")]), Err(412));
        assert_eq!(read(&[(IF_MATCH, &format!("W/{quoted}"))]), Err(412));
        assert_eq!(read(&[(IF_MATCH, &format!("{quoted}, \"7\""))]), Err(400));
        assert_eq!(read(&[(IF_MATCH, &quoted), (IF_MATCH, &quoted)]), Err(400));
        assert_eq!(read(&[(IF_MATCH, "*"), (IF_NONE_MATCH, "*")]), Err(400));
        assert_eq!(read(&[(IF_NONE_MATCH, &quoted)]), Err(400));
    }
}
