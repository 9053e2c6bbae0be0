//! One page of rows, checked against the view that it was read from: for those who walk a running store, with a fresh view for each
//! page.

use super::held::Held;
use super::queue::Queued;
use super::store::Log;
use super::{Checker, Finding, Summary, rows_per_page};
use crate::background;
use crate::error::EngineError;
use crate::meta::view::View;
use bytes::Bytes;

/// A page and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Page {
    /// The rows, in order.
    pub(crate) rows: Vec<(Bytes, Bytes)>,
    /// Whether the table ends here.
    pub(crate) is_last: bool,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
}

/// Checks the rows of table `first` behind the key `after`.
///
/// # Errors
/// [`EngineError`] where the page cannot be read at all.
pub(crate) fn check_page(view: &View, first: u8, after: Option<&Bytes>) -> Result<Page, EngineError> {
    let mut findings = Vec::new();
    let limit = rows_per_page(first);
    let rows = view.raw_page(&[first], after.map(|after| &after[..]), limit)?;
    if !rows.is_empty() {
        let mut report = |finding| findings.push(finding);
        let mut checker = Checker {
            view,
            report: &mut report,
            summary: Summary::default(),
            log: Log::default(),
            held: Held::default(),
            queued: Queued::default(),
            counted: None,
        };
        checker.go_on_behind(after)?;
        for (key, value) in &rows {
            background::yield_now();
            checker.row(key, value.clone());
        }
    }
    Ok(Page { is_last: rows.len() < limit, rows, findings })
}
