//! Finds bad bytes and contradictions while the store serves: reads everything again now and then, a little at a time.
//!
//! [`round`] is the work, synchronous and step by step; [`pace`] says how much a step may do; [`driver`] is the thread; [`mod@judge`] is
//! the judgement of one blob, which verified reads and rechecks use too. What is found to be bad is [`crate::quarantine`]'s.

mod config;
mod driver;
mod judge;
mod pace;
mod round;
mod status;
#[cfg(test)]
mod tests;

pub use crate::meta::{ScrubRound, ScrubTally};
pub use config::{SAMPLE_EVERY, ScrubConfig, VerifyOnRead};
pub(crate) use driver::Driver;
pub(crate) use judge::{Measure, Reading, Verdict, judge, judge_file, unreadable};
#[cfg(any(test, feature = "sim"))]
pub(crate) use round::Scrubber;
pub use status::{FindingKind, ScrubFinding, ScrubStatus};
