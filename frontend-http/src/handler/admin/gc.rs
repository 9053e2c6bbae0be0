//! Garbage collection.

use super::found;
use crate::body::RequestBody;
use crate::document::{GcAnswer, GcPlan, GcReport, GcRequest, GcStatus, REMOVALS_MAX};
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::response::Response;

/// `GET /api/v1/gc`
pub(crate) fn get(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let status = exchange.registry().gc_status(&exchange.context)?;
    Ok(found(&GcStatus::from(status)))
}

/// `POST /api/v1/gc`: a run now, answered at its end; or what it would remove.
pub(crate) async fn run(exchange: &Exchange<'_>, body: &mut RequestBody) -> Result<Response, Refusal> {
    let request: GcRequest = exchange.json(body).await?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    let answer = if request.dry_run {
        GcAnswer::Plan(GcPlan::from(registry.gc_plan(context, REMOVALS_MAX).await?))
    } else {
        GcAnswer::Report(GcReport::from(&registry.gc_run(context).await?))
    };
    Ok(found(&answer))
}
