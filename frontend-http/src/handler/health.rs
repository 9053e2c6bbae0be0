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
        // Without room it still serves: taken out of a load balancer, it would stop pulls as well.
        None => match exchange.app.full() {
            None => plain(StatusCode::OK, Bytes::from_static(b"ready\n")),
            Some(why) => plain(StatusCode::OK, format!("ready, but takes no pushes: {why}\n").into()),
        },
        Some(why) => {
            let why = without_paths(&why);
            plain(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n").into())
        }
    }
}

/// `GET /metrics`
pub(crate) fn metrics(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    exchange.registry().watch(&exchange.context)?;
    let text = crate::metrics::render(exchange.app, exchange.connection.metrics())
        .map_err(|_| Refusal::new(Failure::Internal, "the metrics could not be written"))?;
    let mut response = with_bytes(StatusCode::OK, text.into());
    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
    Ok(response)
}

/// The reason without the files that it names: those are for the log, this answer is for everybody.
pub(crate) fn without_paths(why: &str) -> String {
    // "Input/output error" is what the operating system says, and no file.
    let is_path = |word: &str| word.contains('/') && word != "Input/output";
    let words = why.split(' ').map(|word| if is_path(word) { "(a file)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn plain(status: StatusCode, text: Bytes) -> Response {
    let mut response = with_bytes(status, text);
    response.headers_mut().insert(CONTENT_TYPE, header::PLAIN_TEXT);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_no_file() {
        let why = "a write to the data directory failed: sync of /srv/data/meta/1.log: Input/output error (os error 5)";
        let told = "a write to the data directory failed: sync of (a file) Input/output error (os error 5)";
        assert_eq!(without_paths(why), told);
        assert_eq!(without_paths("the server is about to stop"), "the server is about to stop");
    }
}
