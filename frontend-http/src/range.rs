//! The `Range` header of a GET (RFC 9110 §14): from the header and the blob's size to what is sent.
//!
//! Policy, where the RFC leaves one: what is not of the grammar or not in bytes is ignored (§14.2); a range that ends before
//! it starts is rejected as unsatisfiable (§14.1.1 allows both); ranges that overlap are coalesced (§15.3.7.2), so that an answer
//! is never larger than the blob; more than [`PARTS_MAX`] ranges are ignored. Pure.

use std::ops::Range;

/// The most ranges that one request may ask for; with more the whole blob is sent. Clients that fetch layers in part ask
/// for up to 1024.
pub const PARTS_MAX: usize = 1024;

/// What part of a blob a request gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it: `200`.
    Whole,
    /// One range: `206` with `Content-Range`. Never empty, within the blob.
    One(Range<u64>),
    /// At least two ranges that do not overlap, in the order asked: `206` as `multipart/byteranges`.
    Many(Vec<Range<u64>>),
    /// Nothing of what was asked for exists: `416`.
    Unsatisfiable,
}

/// One `first-last`, `first-` or `-suffix` of the header.
enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix(u64),
}

/// Reads the value of a `Range` header for a blob of `size` bytes.
pub fn select(value: &[u8], size: u64) -> Selection {
    let Some(list) = std::str::from_utf8(value).ok().and_then(byte_ranges) else { return Selection::Whole };
    // An empty blob has no byte that a range could name, and `Content-Range` cannot say "nothing": the whole is what is wanted.
    if size == 0 {
        return Selection::Whole;
    }
    let mut ranges = Vec::new();
    let mut count = 0_usize;
    for spec in list.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        count += 1;
        let Some(spec) = parse_spec(spec) else { return Selection::Whole };
        if count > PARTS_MAX {
            return Selection::Whole;
        }
        ranges.extend(resolve(&spec, size));
    }
    if count == 0 {
        return Selection::Whole;
    }
    choose(ranges)
}

/// The list behind `bytes=`; `None` for another unit. Unit names are case-insensitive.
fn byte_ranges(text: &str) -> Option<&str> {
    let (unit, list) = text.trim_matches([' ', '\t']).split_once('=')?;
    unit.eq_ignore_ascii_case("bytes").then_some(list)
}

/// `None` where the text is not of the grammar.
fn parse_spec(text: &str) -> Option<Spec> {
    let (first, last) = text.split_once('-')?;
    match (first, last) {
        ("", suffix) => Some(Spec::Suffix(digits(suffix)?)),
        (first, "") => Some(Spec::From { first: digits(first)?, last: None }),
        (first, last) => Some(Spec::From { first: digits(first)?, last: Some(digits(last)?) }),
    }
}

/// Reads digits; a number beyond 64 bits is as good as the largest, as it lies beyond every blob.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The bytes that a spec names in a blob of `size` > 0 bytes; `None` where there are none.
fn resolve(spec: &Spec, size: u64) -> Option<Range<u64>> {
    match *spec {
        Spec::Suffix(0) => None,
        Spec::Suffix(len) => Some(size.saturating_sub(len)..size),
        Spec::From { first, .. } if first >= size => None,
        Spec::From { first, last: None } => Some(first..size),
        Spec::From { first, last: Some(last) } if last < first => None,
        Spec::From { first, last: Some(last) } => Some(first..last.saturating_add(1).min(size)),
    }
}

/// Coalesces overlaps. The order asked for is kept where nothing overlaps; otherwise the order is ascending.
fn choose(ranges: Vec<Range<u64>>) -> Selection {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            Some(before) if range.start < before.end => before.end = before.end.max(range.end),
            _ => merged.push(range),
        }
    }
    let mut chosen = if merged.len() == ranges.len() { ranges } else { merged };
    match chosen.len() {
        0 => Selection::Unsatisfiable,
        1 => chosen.pop().map_or(Selection::Unsatisfiable, Selection::One),
        _ => Selection::Many(chosen),
    }
}

#[cfg(test)]
mod tests;
