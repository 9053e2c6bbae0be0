//! Answers that are lists: tags, repositories, referrers, extensions (distribution-spec, "Content Discovery").

use super::{Response, header, held, json, json_bytes};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::page;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, LINK};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use strata_registry::{Page, ReferrerPage, RepositoryPage, TagPage};
use strata_types::{Digest, RepositoryName};

/// `{"name":…,"tags":[…]}`, with a `Link` where there are more.
pub(crate) fn tags(
    exchange: &Exchange<'_>,
    repository: &RepositoryName,
    asked: &Page,
    found: &TagPage,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Tags<'a> {
        name: &'a str,
        tags: Vec<&'a str>,
    }
    let tags: Vec<&str> = found.tags.iter().map(strata_types::Tag::as_str).collect();
    let last = found.more.then(|| tags.last().copied()).flatten();
    let link = last
        .map(|last| page::link(&exchange.url(&format!("/v2/{repository}/tags/list")), asked.n, last, None));
    page(exchange, json_bytes(&Tags { name: repository.as_str(), tags }), header::JSON, link)
}

/// `{"repositories":[…]}`, with a `Link` where there are more.
pub(crate) fn catalog(
    exchange: &Exchange<'_>,
    asked: &Page,
    found: &RepositoryPage,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Repositories<'a> {
        repositories: Vec<&'a str>,
    }
    let repositories: Vec<&str> = found.repositories.iter().map(RepositoryName::as_str).collect();
    let last = found.more.then(|| repositories.last().copied()).flatten();
    let link = last.map(|last| page::link(&exchange.url("/v2/_catalog"), asked.n, last, None));
    page(exchange, json_bytes(&Repositories { repositories }), header::JSON, link)
}

/// An index of the referrers, with a `Link` where more may follow. The descriptors are JSON already.
pub(crate) fn referrers(
    exchange: &Exchange<'_>,
    (repository, subject): (&RepositoryName, &Digest),
    artifact_type: Option<&str>,
    asked: &Page,
    found: &ReferrerPage,
) -> Result<Response, Refusal> {
    let filter = artifact_type.map(|kind| ("artifactType", kind));
    let path = || exchange.url(&format!("/v2/{repository}/referrers/{subject}"));
    let link = found.next.map(|next| page::link(&path(), asked.n, &next.to_string(), filter));
    let mut response = page(exchange, index_of(&found.descriptors), header::INDEX, link)?;
    if let Some((name, _)) = filter {
        response.headers_mut().insert(header::OCI_FILTERS_APPLIED, header::value(name));
    }
    Ok(response)
}

fn page(
    exchange: &Exchange<'_>,
    bytes: Bytes,
    content_type: HeaderValue,
    link: Option<HeaderValue>,
) -> Result<Response, Refusal> {
    let mut response = held(exchange, bytes)?;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    Ok(response)
}

fn index_of(descriptors: &[Bytes]) -> Bytes {
    const HEAD: &[u8] =
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#;
    let len = descriptors.iter().map(|descriptor| descriptor.len() + 1).sum::<usize>();
    let mut index = BytesMut::with_capacity(HEAD.len() + len + 2);
    index.put_slice(HEAD);
    for (i, descriptor) in descriptors.iter().enumerate() {
        if i > 0 {
            index.put_u8(b',');
        }
        index.put_slice(descriptor);
    }
    index.put_slice(b"]}");
    index.freeze()
}

/// An extension, as `_oci/ext/discover` lists it (distribution-spec, "extensions/_oci.md").
#[derive(Debug, Serialize)]
pub(crate) struct Extension {
    pub(crate) name: &'static str,
    pub(crate) url: &'static str,
    pub(crate) description: &'static str,
    pub(crate) endpoints: &'static [&'static str],
}

/// `{"extensions":[…]}`.
pub(crate) fn extensions(extensions: &[Extension]) -> Response {
    #[derive(Serialize)]
    struct Extensions<'a> {
        extensions: &'a [Extension],
    }
    json(StatusCode::OK, &Extensions { extensions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn an_index_joins_descriptors() {
        let read = |descriptors: &[&'static str]| -> Value {
            let descriptors: Vec<_> = descriptors.iter().map(|d| Bytes::from_static(d.as_bytes())).collect();
            serde_json::from_slice(&index_of(&descriptors)).unwrap()
        };
        assert_eq!(read(&[])["manifests"], json!([]));
        assert_eq!(read(&["{\"a\":1}", "{}"])["manifests"], json!([{ "a": 1 }, {}]));
    }
}
