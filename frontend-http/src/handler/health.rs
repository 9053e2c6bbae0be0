//! Health, readiness and metrics of the process.

use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{Response, header, with_bytes};
use bytes::Bytes;
use http::HeaderValue;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use strata_types::Failure;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// `GET /healthz`: the process answers, so it can serve reads.
pub(crate) fn live() -> Response {
    plain(StatusCode::OK, Bytes::from_static(b"ok\n"))
}

/// `GET /readyz`: whether requests should be sent here; says why not.
pub(crate) fn ready(exchange: &Exchange<'_>) -> Response {
    match exchange.app.unready() {
        None => plain(StatusCode::OK, Bytes::from_static(b"ready\n")),
        Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n").into()),
    }
}

/// `GET /metrics`
pub(crate) fn metrics(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let text = crate::metrics::render(exchange.app, exchange.connection.metrics())
        .map_err(|_| Refusal::new(Failure::Internal, "the metrics could not be written"))?;
    let mut response = with_bytes(StatusCode::OK, text.into());
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    Ok(response)
}

fn plain(status: StatusCode, text: Bytes) -> Response {
    let mut response = with_bytes(status, text);
    response.headers_mut().insert(CONTENT_TYPE, header::PLAIN_TEXT);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
