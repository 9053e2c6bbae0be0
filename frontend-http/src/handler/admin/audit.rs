//! The audit log: pages of the latest entries, or lines from the beginning for those who keep a copy.

use super::found;
use crate::document::Audit;
use crate::error::Refusal;
use crate::exchange::Exchange;
use crate::query::Query;
use crate::response::{self, Response, header};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, LINK};
use std::borrow::Cow;
use strata_registry::{AuditFilter, UnixMillis};
use strata_types::Failure;

/// `GET /api/v1/audit[?account=&action=&repository=&registry=&result=&from=&until=&format=&limit=&cursor=]`
pub(crate) async fn list(exchange: &Exchange<'_>) -> Result<Response, Refusal> {
    let slice = exchange.slice()?;
    let query = exchange.query;
    let in_lines = match query.get("format").as_deref() {
        None | Some("json") => false,
        Some("jsonl") => true,
        Some(_) => return Err(Refusal::new(Failure::RequestInvalid, "format is json or jsonl")),
    };
    let given = |key| query.get(key).filter(|text| !text.is_empty()).map(Cow::into_owned);
    let filter = AuditFilter {
        account: given("account"),
        action: given("action"),
        repository: given("repository"),
        registry: given("registry"),
        result: given("result"),
        from: moment(query, "from")?,
        until: moment(query, "until")?,
    };
    let number = slice.after(str::parse::<u64>)?;
    let (registry, context) = (exchange.registry(), &exchange.context);
    if in_lines {
        let after = number.unwrap_or_default();
        let page = registry.export_audit(context, filter, after, slice.limit).await?;
        return lines(exchange, &Audit::from(page));
    }
    Ok(found(&Audit::from(registry.audit(context, filter, number, slice.limit).await?)))
}

/// A line for each entry. The next page is the target of `Link`, so that a line is always an entry.
fn lines(exchange: &Exchange<'_>, page: &Audit) -> Result<Response, Refusal> {
    let mut text = BytesMut::new();
    for entry in &page.entries {
        text.put_slice(&response::json_bytes(entry));
        text.put_u8(b'\n');
    }
    let mut response = response::held(exchange, Bytes::from(text))?;
    response.headers_mut().insert(CONTENT_TYPE, header::JSON_LINES);
    if let Some(next) = &page.next {
        let others = exchange.query.without("cursor");
        let divider = if others.is_empty() { "" } else { "&" };
        let target = exchange.url(&format!("/api/v1/audit?{others}{divider}cursor={next}"));
        response.headers_mut().insert(LINK, header::value(&format!("<{target}>; rel=\"next\"")));
    }
    Ok(response)
}

fn moment(query: Query<'_>, key: &str) -> Result<Option<UnixMillis>, Refusal> {
    let Some(text) = query.get(key) else { return Ok(None) };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let millis = text.parse().ok().filter(|_| is_number);
    let millis = millis.ok_or_else(|| {
        Refusal::new(Failure::RequestInvalid, format!("{key} is a moment: milliseconds since 1970"))
    });
    millis.map(|millis| Some(UnixMillis(millis)))
}
