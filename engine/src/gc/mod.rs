//! Online garbage collection: takes what nothing needs any more, a little at a time, while everything else goes on.
//!
//! [`sweeper`] decides and removes, synchronously and step by step; [`driver`] is the thread that calls it. What is needed is
//! read from rows and edges; what may not be is in the queue `q`, so a run costs as much as there is garbage. Parses no manifest
//! and asks no client: who needs a blob is what the service layer has written down.

mod config;
mod driver;
mod plan;
mod report;
mod sweeper;

pub use config::GcConfig;
pub(crate) use driver::Driver;
pub(crate) use plan::plan;
pub use report::{GcCounts, GcKind, GcPlan, GcRemoval, GcReport, GcStatus, GcTally};
#[cfg(any(test, feature = "sim"))]
pub(crate) use sweeper::{Pace, run};
