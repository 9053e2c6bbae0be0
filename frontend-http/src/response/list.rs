//! Answers that are lists: tags, repositories, referrers, extensions (distribution-spec, "Content Discovery").

use super::{Response, header, json, with_bytes};
use crate::page;
use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LINK};
use serde::Serialize;
use strata_registry::{Page, ReferrerPage, RepositoryPage, TagPage};
use strata_types::{Digest, RepositoryName};

/// `{"name":…,"tags":[…]}`, with a `Link` where there are more.
pub(crate) fn tags(repository: &RepositoryName, asked: &Page, found: &TagPage) -> Response {
    #[derive(Serialize)]
    struct Tags<'a> {
        name: &'a str,
        tags: Vec<&'a str>,
    }
    let tags: Vec<&str> = found.tags.iter().map(strata_types::Tag::as_str).collect();
    let last = found.more.then(|| tags.last().copied()).flatten();
    let link = last.map(|last| page::link(&format!("/v2/{repository}/tags/list"), asked.n, last, None));
    let mut response = json(StatusCode::OK, &Tags { name: repository.as_str(), tags });
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    response
}

/// `{"repositories":[…]}`, with a `Link` where there are more.
pub(crate) fn catalog(asked: &Page, found: &RepositoryPage) -> Response {
    #[derive(Serialize)]
    struct Repositories<'a> {
        repositories: Vec<&'a str>,
    }
    let repositories: Vec<&str> = found.repositories.iter().map(RepositoryName::as_str).collect();
    let last = found.more.then(|| repositories.last().copied()).flatten();
    let link = last.map(|last| page::link("/v2/_catalog", asked.n, last, None));
    let mut response = json(StatusCode::OK, &Repositories { repositories });
    response.headers_mut().extend(link.map(|link| (LINK, link)));
    response
}

/// An index of the referrers, with a `Link` where more may follow. The descriptors are JSON already.
pub(crate) fn referrers(
    repository: &RepositoryName,
    subject: &Digest,
    artifact_type: Option<&str>,
    asked: &Page,
    found: &ReferrerPage,
) -> Response {
    let mut response = with_bytes(StatusCode::OK, index_of(&found.descriptors));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, header::INDEX);
    if artifact_type.is_some() {
        headers.insert(header::OCI_FILTERS_APPLIED, header::value("artifactType"));
    }
    if let Some(next) = &found.next {
        let path = format!("/v2/{repository}/referrers/{subject}");
        let filter = artifact_type.map(|kind| ("artifactType", kind));
        headers.insert(LINK, page::link(&path, asked.n, &next.to_string(), filter));
    }
    response
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
