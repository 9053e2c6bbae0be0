//! end-1, the extensions, and a word of welcome.

use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::list::{self, Extension};
use crate::response::{Response, header, with_bytes};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use strata_registry::Page;

const LANDING: &str = concat!(
    "Strata ",
    env!("CARGO_PKG_VERSION"),
    "\nA container registry on its own storage engine.\n\n",
    "API       /v2/        OCI distribution-spec\n",
    "Health    /healthz    /readyz\n",
    "Metrics   /metrics\n\n",
    "Push      docker tag busybox HOST/busybox && docker push HOST/busybox\n",
    "Documentation stands in docs/ beside the source.\n",
);

const EXTENSIONS: [Extension; 2] = [
    Extension {
        name: "_oci",
        url: "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md",
        description: "Lists the extensions.",
        endpoints: &["_oci/ext/discover"],
    },
    Extension {
        name: "_catalog",
        url: "https://github.com/opencontainers/distribution-spec/blob/main/extensions/README.md",
        description: "Lists the repositories.",
        endpoints: &["_catalog"],
    },
];

/// `GET /`
pub(crate) fn landing() -> Response {
    let mut response = with_bytes(StatusCode::OK, Bytes::from_static(LANDING.as_bytes()));
    response.headers_mut().insert(CONTENT_TYPE, header::PLAIN_TEXT);
    response
}

/// end-1: `GET /v2/`. In accounts mode this is where clients learn where tokens are to be had, and whether theirs counts.
pub(crate) fn base(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    exchange.registry().enter(&exchange.context)?;
    let mut response = with_bytes(StatusCode::OK, Bytes::from_static(b"{}"));
    response.headers_mut().insert(CONTENT_TYPE, header::JSON);
    Ok(response)
}

/// `GET /v2/_oci/ext/discover`
pub(crate) fn discover(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    exchange.registry().enter(&exchange.context)?;
    Ok(list::extensions(&EXTENSIONS))
}

/// `GET /v2/{name}/_oci/ext/discover`: no extension works on a repository but this one. Of a repository that exists, that is.
pub(crate) async fn discover_repository(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let nothing = Page { n: Some(0), last: None };
    exchange.registry().list_tags(&exchange.context, &exchange.repository()?, &nothing).await?;
    Ok(list::extensions(EXTENSIONS.get(..1).unwrap_or_default()))
}
