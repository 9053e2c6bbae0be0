//! end-2, end-10: blobs of a repository.

use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::hot::{Keepable, Kept};
use crate::range::Selection;
use crate::response::{Response, blob, no_content, not_modified};
use http::{Method, StatusCode};
use strata_registry::BlobBody;

/// `GET`, `HEAD /v2/{name}/blobs/{digest}`
pub(crate) async fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, digest) = (exchange.repository()?, exchange.digest()?);
    if exchange.method == Method::HEAD {
        let stat = exchange.registry().stat_blob(&exchange.context, &repository, &digest).await?;
        return Ok(if exchange.is_fresh(&digest)? { not_modified(&digest) } else { blob::head(&stat) });
    }
    let read = exchange.registry().open_blob(&exchange.context, &repository, &digest).await?;
    if exchange.is_fresh(&digest)? {
        return Ok(not_modified(&digest));
    }
    let selection = exchange.selection(&digest, read.size);
    let keepable = (read.keepable && selection == Selection::Whole).then(|| Keepable {
        standing: read.standing.clone(),
        content: match &read.body {
            BlobBody::Bytes(bytes) => Kept::Bytes(bytes.clone()),
            BlobBody::File(file) => Kept::File(file.idle()),
        },
    });
    let mut response = blob::selected(exchange, read, selection)?;
    keepable.map(|keepable| response.extensions_mut().insert(keepable));
    Ok(response)
}

/// `DELETE /v2/{name}/blobs/{digest}`
pub(crate) async fn delete(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let (repository, digest) = (exchange.repository()?, exchange.digest()?);
    exchange.registry().delete_blob(&exchange.context, &repository, &digest).await?;
    Ok(no_content(StatusCode::ACCEPTED))
}
