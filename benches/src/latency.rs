//! How long things took: a histogram with three significant digits from a nanosecond to hours, and the schedule of an open loop.
//!
//! In an open loop every request has a moment at which it was due. Its latency counts from there, however late a busy connection got to it: a
//! server that stalls for a second is charged for everything that was due in that second, not for one slow request ("coordinated omission").

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The quantiles that a chart draws.
const CURVE: [f64; 15] =
    [0.0, 0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];

/// Latencies of many requests.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::new()
    }
}

impl Latencies {
    /// None yet.
    ///
    /// # Panics
    /// Never: the precision is one that the histogram knows.
    #[expect(clippy::expect_used, reason = "three digits are within what the histogram allows")]
    pub fn new() -> Latencies {
        Latencies(Histogram::new(3).expect("three significant digits"))
    }

    /// One more.
    pub fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        // It grows as needed: recording cannot fail.
        let _ = self.0.record(nanoseconds);
    }

    /// Takes in what was measured elsewhere in the same span.
    pub fn join(&mut self, other: &Latencies) {
        // Both have the same precision and grow: adding cannot fail.
        let _ = self.0.add(&other.0);
    }

    /// How many were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that `share` (0..=1) of the requests did not exceed, in microseconds.
    pub fn quantile_us(&self, share: f64) -> f64 {
        microseconds(self.0.value_at_quantile(share))
    }

    /// Mean, quantiles and the curve for a chart, in microseconds.
    pub fn describe(&self) -> Value {
        if self.count() == 0 {
            return json!({});
        }
        let curve: Vec<_> = CURVE.iter().map(|&share| json!([share, self.quantile_us(share)])).collect();
        json!({
            "mean_us": self.0.mean() / 1000.0,
            "p50_us": self.quantile_us(0.5),
            "p90_us": self.quantile_us(0.9),
            "p99_us": self.quantile_us(0.99),
            "p999_us": self.quantile_us(0.999),
            "max_us": microseconds(self.0.max()),
            "curve_us": curve,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read, with three significant digits")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// When the requests of an open loop are due: one after the other, evenly.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    start: Instant,
    /// Requests a second.
    rate: f64,
}

impl Schedule {
    /// `rate` requests a second from `start` on; a rate that is not above zero counts as one.
    pub fn new(start: Instant, rate: f64) -> Schedule {
        Schedule { start, rate: if rate > 0.0 { rate } else { 1.0 } }
    }

    /// The moment at which request `number` (from 0) is due.
    #[expect(clippy::cast_precision_loss, reason = "exact for 2^53 requests")]
    pub fn due(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one connection records against a server that answers in a millisecond but stands still from 1 s to 2 s.
    fn stalled(open: bool) -> Latencies {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let schedule = Schedule::new(start, 100.0);
        let mut latencies = Latencies::new();
        let mut free = start;
        for number in 0..400 {
            let due = schedule.due(number);
            let sent = due.max(free);
            let answered = if sent >= at(1000) && sent < at(2000) {
                at(2001)
            } else {
                sent + at(1).duration_since(start)
            };
            latencies.record(answered - if open { due } else { sent });
            free = answered;
        }
        latencies
    }

    #[test]
    fn a_stall_counts_for_all_that_was_due_in_it() {
        let open = stalled(true);
        // 100 of the 400 requests were due while the server stood still: they waited from 1 s down to nothing.
        assert_eq!(open.count(), 400);
        assert!((900_000.0..1_002_000.0).contains(&open.quantile_us(0.99)), "{}", open.quantile_us(0.99));
        assert!(open.quantile_us(0.9) > 500_000.0, "{}", open.quantile_us(0.9));
        assert!(open.quantile_us(0.5) < 2_000.0, "{}", open.quantile_us(0.5));
    }

    #[test]
    fn without_the_schedule_the_same_stall_hides() {
        assert!(stalled(false).quantile_us(0.99) < 2_000.0);
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut latencies = Latencies::new();
        (1..=10_000).for_each(|number| latencies.record(Duration::from_micros(number)));
        for (share, exact) in [(0.5, 5000.0), (0.9, 9000.0), (0.99, 9900.0), (1.0, 10_000.0)] {
            let found = latencies.quantile_us(share);
            assert!((found - exact).abs() <= exact / 500.0, "{share}: {found} instead of {exact}");
        }
        let mut long = Latencies::new();
        long.record(Duration::from_hours(2));
        assert!((long.quantile_us(1.0) - 7.2e9).abs() < 1e7, "{}", long.quantile_us(1.0));
    }

    #[test]
    fn joined_histograms_hold_both() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        one.record(Duration::from_micros(1));
        other.record(Duration::from_secs(100));
        one.join(&other);
        assert_eq!(one.count(), 2);
        assert!(one.quantile_us(1.0) > 9e7);
        assert_eq!(Latencies::new().describe(), json!({}));
        assert_eq!(one.describe()["curve_us"].as_array().map(Vec::len), Some(CURVE.len()));
    }

    #[test]
    fn requests_are_due_evenly() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 1000.0);
        assert_eq!(schedule.due(0), start);
        assert_eq!(schedule.due(2500), start + Duration::from_millis(2500));
        assert_eq!(Schedule::new(start, 0.0).due(1), start + Duration::from_secs(1));
    }
}
