//! The audit log.

use super::{limit, number, some};
use crate::call::Call;
use crate::error::Refusal;
use crate::proto::registry as v1;
use strata_registry as registry;
use strata_registry::UnixMillis;

fn entry(entry: registry::AuditEntry) -> v1::AuditEntry {
    let text = |text: Option<&dyn ToString>| text.map(ToString::to_string).unwrap_or_default();
    v1::AuditEntry {
        id: entry.number,
        at_millis: entry.at.0,
        action: entry.action.to_string(),
        result: entry.result.to_string(),
        account: text(entry.account.as_ref().map(|name| name as &dyn ToString)),
        key: text(entry.key.as_ref().map(|id| id as &dyn ToString)),
        remote: text(entry.remote.as_ref().map(|address| address as &dyn ToString)),
        request: text(entry.request.as_ref().map(|id| id as &dyn ToString)),
        repository: text(entry.repository.as_ref().map(|name| name as &dyn ToString)),
        digest: text(entry.digest.as_ref().map(|digest| digest as &dyn ToString)),
        tag: text(entry.tag.as_ref().map(|tag| tag as &dyn ToString)),
        target: entry.target,
        count: entry.count,
    }
}

pub(super) async fn list_audit(
    call: &Call,
    asked: v1::AdminListAuditRequest,
) -> Result<v1::AdminListAuditResponse, Refusal> {
    let owned = |text: &str| some(text).map(str::to_owned);
    let filter = registry::AuditFilter {
        account: owned(&asked.account),
        action: owned(&asked.action),
        registry: owned(&asked.registry),
        repository: owned(&asked.repository),
        result: owned(&asked.result),
        from: asked.from_millis.map(UnixMillis),
        until: asked.until_millis.map(UnixMillis),
    };
    let (before, limit) = (number(&asked.page_token)?, limit(asked.page_size));
    let page = call.registry().audit(&call.context, filter, before, limit).await?;
    Ok(v1::AdminListAuditResponse {
        entries: page.entries.into_iter().map(entry).collect(),
        next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
    })
}
