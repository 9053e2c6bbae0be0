//! end-3, end-7, end-9: manifests of a repository.

use crate::body::RequestBody;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::hot::{Keepable, Kept};
use crate::response::{Response, header, manifest, no_content, not_modified};
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, WARNING};
use http::{Method, StatusCode};
use strata_registry::PutManifest;
use strata_types::Tag;

/// `GET`, `HEAD /v2/{name}/manifests/{reference}`. `Accept` is not looked at: the stored bytes are the only ones there are.
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, reference) = (exchange.repository()?, exchange.reference_to_find()?);
    if exchange.method == Method::HEAD {
        let stat = exchange.registry().stat_manifest(&exchange.context, &repository, &reference).await?;
        let fresh = exchange.is_fresh(&stat.digest)?;
        if fresh {
            return Ok(not_modified(&stat.digest));
        }
        let mut response = manifest::head(&stat);
        response.extensions_mut().insert(Keepable { standing: stat.standing, content: Kept::Nothing });
        return Ok(response);
    }
    let read = exchange.registry().get_manifest(&exchange.context, &repository, &reference).await?;
    if exchange.is_fresh(&read.digest)? {
        return Ok(not_modified(&read.digest));
    }
    let keepable = Keepable { standing: read.standing.clone(), content: Kept::Bytes(read.bytes.clone()) };
    let mut response = manifest::whole(exchange, read)?;
    response.extensions_mut().insert(keepable);
    Ok(response)
}

/// `PUT /v2/{name}/manifests/{reference}[?tag=…]`
pub(crate) async fn put(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let (repository, reference) = (exchange.repository()?, exchange.reference()?);
    let tags = exchange.query.all("tag").map(|tag| Tag::parse(&tag)).collect::<Result<Vec<_>, _>>()?;
    let content_type = exchange.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (bytes, _room) = exchange.manifest_bytes(body).await?;
    let put = PutManifest {
        reference: reference.clone(),
        tags,
        content_type: content_type.map(str::to_owned),
        bytes,
    };
    let done = exchange.registry().put_manifest(&exchange.context, &repository, put).await?;
    let mut response = manifest::created(exchange, &repository, &reference, &done);
    for name in [IF_MATCH, IF_NONE_MATCH].into_iter().filter(|name| exchange.headers.contains_key(name)) {
        let warning =
            header::warning(&format!("{name} was not honoured: a push of a manifest is unconditional"));
        response.headers_mut().append(WARNING, warning);
    }
    Ok(response)
}

/// `DELETE /v2/{name}/manifests/{reference}`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, reference) = (exchange.repository()?, exchange.reference_to_find()?);
    exchange.registry().delete_manifest(&exchange.context, &repository, &reference).await?;
    Ok(no_content(StatusCode::ACCEPTED))
}
