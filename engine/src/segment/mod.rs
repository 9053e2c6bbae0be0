//! Small blobs, packed one behind another in append-only files: one write and one sync for all that wait.
//!
//! Knows frames, offsets and segment files; which blob a frame belongs to is in the metadata. Called by `upload` (append),
//! `blob` (verify), `gc` (dead ones, and what lives beside them), `recovery` and `check`.

mod append;
mod dead;
mod frame;

pub(crate) use append::{Append, Appender, Place, Position};
pub(crate) use dead::Dead;
pub(crate) use frame::payload;
#[cfg(any(test, feature = "sim"))]
pub(crate) use frame::{HEADER_BYTES, header};

use std::path::PathBuf;

/// The directory of all segments.
pub(crate) const SEGMENTS: &str = "segments";

const SUFFIX: &str = ".seg";

/// Path of a segment.
pub(crate) fn path(segment: u32) -> PathBuf {
    PathBuf::from(format!("{SEGMENTS}/{segment:08x}{SUFFIX}"))
}

/// The number that a file name spells, in the one way it is written.
pub(crate) fn parse_name(name: &str) -> Option<u32> {
    let number = u32::from_str_radix(name.strip_suffix(SUFFIX)?, 16).ok()?;
    (format!("{number:08x}{SUFFIX}") == name).then_some(number)
}
