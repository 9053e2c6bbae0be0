//! The scrub.

use super::found;
use crate::body::RequestBody;
use crate::document::{ScrubRequest, ScrubStarted, ScrubStatus};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::{self, Response};
use http::StatusCode;

/// `GET /api/v1/scrub`
pub(crate) fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let status = exchange.registry().scrub_status(&exchange.context)?;
    Ok(found(&ScrubStatus::from(status)))
}

/// `POST /api/v1/scrub`: a round now, unless one is under way. Answered at its beginning.
pub(crate) async fn start(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: ScrubRequest = exchange.json(body).await?;
    let round = exchange.registry().scrub_start(&exchange.context, request.rate).await?;
    Ok(response::json(StatusCode::ACCEPTED, &ScrubStarted { round }))
}
