//! `Range` and `Content-Range`: no panic, and what is chosen lies within the blob, without overlap and never more than it.

use strata_frontend_http::content_range::ContentRange;
use strata_frontend_http::range::{Selection, select};

pub(super) fn run(data: &[u8]) {
    let Some((size, value)) = data.split_first_chunk::<8>() else { return };
    for size in [u64::from_le_bytes(*size), u64::from(size[0])] {
        match select(value, size) {
            Selection::Whole | Selection::Unsatisfiable => {}
            Selection::One(range) => assert!(range.start < range.end && range.end <= size),
            Selection::Many(mut ranges) => {
                assert!(ranges.len() > 1);
                ranges.sort_by_key(|range| range.start);
                assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size));
                assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
        }
    }
    if let Ok(range) = ContentRange::parse(value) {
        assert!(range.len > 0 && range.start.checked_add(range.len - 1).is_some());
    }
}
