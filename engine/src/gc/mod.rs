//! Online garbage collection: takes what nothing needs any more, a little at a time, while everything else goes on.
//!
//! [`judge`] decides about one thing, [`sweeper`] goes over the queue step by step, [`mod@run`] is all that one run does, [`mod@plan`] the same on
//! paper, [`driver`] the thread. What is needed is
//! read from rows and edges; what may not be is in the queue `q`, so a run costs as much as there is garbage. Parses no manifest
//! and asks no client: who needs a blob is what the service layer has written down.

mod bytes;
mod compact;
mod config;
mod driver;
mod ground;
mod judge;
mod plan;
mod report;
mod run;
mod seen;
mod sweeper;
#[cfg(test)]
mod tests;

pub use config::GcConfig;
pub(crate) use driver::Driver;
pub(crate) use plan::plan;
pub use report::{GcCounts, GcKind, GcPlan, GcRemoval, GcReport, GcStatus, GcTally};
pub(crate) use seen::Seen;
#[cfg(any(test, feature = "sim"))]
pub(crate) use sweeper::Pace;

/// One run, for tests that step it.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn run(
    store: &std::sync::Arc<crate::store::Store>,
    pace: &mut dyn Pace,
) -> Result<GcReport, crate::EngineError> {
    run::run(store, pace).map(|outcome| outcome.report)
}
