//! `strata audit`: who did what, newest first, page by page as it comes.
use std::process::ExitCode;

use clap::Args;
use strata_frontend_http::document::{Audit, AuditEntry};
use strata_frontend_http::{AdminClient, Resource};

use super::place::Refusal;
use super::server::{PAGE, ServerArguments};
use super::table::Table;
use super::when::{self, When};
use super::write;

#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    /// Only of this account
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only of this action, such as tag.set, or any of a thing: tag
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only about this image
    #[arg(long, value_name = "IMAGE")]
    repository: Option<String>,
    /// Only about this registry and its images
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
    /// Only with this result: done, or a reason
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,
    /// Not before this moment in UTC, such as 2026-11-21 or 2026-11-21T17:05:09Z, or so long ago, such as 2h
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    from: Option<When>,
    /// Before this moment
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    until: Option<When>,
    /// Not more than so many, the latest [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    #[command(flatten)]
    server: ServerArguments,
}

impl AuditArguments {
    fn resource(&self) -> Resource {
        Resource::new(&["audit"])
            .with_some("account", self.account.as_ref())
            .with_some("action", self.action.as_ref())
            .with_some("repository", self.repository.as_ref())
            .with_some("registry", self.registry.as_ref())
            .with_some("result", self.result.as_ref())
            .with_some("from", self.from.map(When::past))
            .with_some("until", self.until.map(When::past))
    }
}

/// Asks and prints.
pub(super) fn run(arguments: &AuditArguments) -> ExitCode {
    match arguments.server.ask(async |client| follow(client, arguments).await) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => refusal.report(),
    }
}

/// Prints page after page, and holds one.
async fn follow(client: &AdminClient, arguments: &AuditArguments) -> Result<(), Refusal> {
    let list = arguments.resource();
    let mut left = arguments.limit.unwrap_or(usize::MAX);
    let (mut cursor, mut found) = (None::<String>, false);
    while left > 0 {
        let page = list.clone().with("limit", PAGE.min(left)).with_some("cursor", cursor.as_ref());
        let page: Audit = client.get(page).await?;
        let entries = page.entries.get(..left).unwrap_or(&page.entries);
        left -= entries.len();
        if !entries.is_empty() {
            let text = if arguments.server.json { lines(entries)? } else { table(entries, !found) };
            // Nobody reads on: nothing is asked for any more.
            if !write(&text).map_err(Refusal::new)? {
                return Ok(());
            }
            found = true;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if !found && !arguments.server.json {
        write("nothing was found in the audit log\n").map_err(Refusal::new)?;
    }
    Ok(())
}

fn lines(entries: &[AuditEntry]) -> Result<String, Refusal> {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&serde_json::to_string(entry).map_err(Refusal::new)?);
        text.push('\n');
    }
    Ok(text)
}

/// Under the heads of the columns, on the first page.
fn table(entries: &[AuditEntry], is_first: bool) -> String {
    let mut table = Table::new(&["WHEN", "ACCOUNT", "ACTION", "TARGET", "RESULT", "FROM", "KEY"]);
    for entry in entries {
        let said = |said: &Option<String>| said.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            when::shown(entry.at_millis),
            said(&entry.account),
            entry.action.clone(),
            said(&entry.target),
            entry.result.clone(),
            said(&entry.remote),
            said(&entry.key),
        ]);
    }
    let text = table.text("");
    match text.split_once('\n') {
        Some((_, rows)) if !is_first => rows.to_owned(),
        _ => text,
    }
}
