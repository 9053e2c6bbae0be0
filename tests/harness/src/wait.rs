//! The one place that waits: a condition is asked again and again until it holds or its bound is over.

use std::time::{Duration, Instant};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// Longest wait for a condition that ought to come true at once.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks `condition` until it gives a value.
///
/// # Panics
/// When `bound` is over; the message names `what`.
#[track_caller]
pub fn until<T>(what: &str, bound: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    match within(bound, &mut condition) {
        Some(value) => value,
        None => panic!("waited {bound:?} in vain for: {what}"),
    }
}

/// Asks `condition` until it gives a value; `None` when `bound` is over.
pub fn within<T>(bound: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if start.elapsed() > bound {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lets time pass where slowness itself is what a test is about. Not for waiting on anything.
pub fn pace(pause: Duration) {
    std::thread::sleep(pause);
}
