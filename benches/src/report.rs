//! What a run came to, as one line that a script can read.

use std::fmt;
use std::time::Duration;

/// Requests (or images, or blobs) done in a span of time.
#[derive(Debug, Default)]
pub struct Report {
    /// How long each took, in microseconds, in any order.
    pub latencies_us: Vec<u32>,
    /// Bytes of bodies that went either way.
    pub bytes: u64,
    /// The whole span.
    pub elapsed: Duration,
}

impl Report {
    /// Counts one more.
    pub fn record(&mut self, took: Duration, bytes: u64) {
        self.latencies_us.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        self.bytes += bytes;
    }

    /// Takes in what another connection did in the same span.
    pub fn join(&mut self, other: Report) {
        self.latencies_us.extend(other.latencies_us);
        self.bytes += other.bytes;
    }

    /// The latency that `share` (0..=1) of the requests did not exceed, in microseconds.
    pub fn percentile_us(&self, share: f64) -> u32 {
        let mut sorted = self.latencies_us.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a list of measurements"
        )]
        let at = (last as f64 * share).round() as usize;
        sorted.get(at).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"{{"count":{},"bytes":{},"seconds":{:.6},"p50_us":{},"p99_us":{}}}"#,
            self.latencies_us.len(),
            self.bytes,
            self.elapsed.as_secs_f64(),
            self.percentile_us(0.5),
            self.percentile_us(0.99)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_and_of_none() {
        let mut report = Report::default();
        assert_eq!(report.percentile_us(0.99), 0);
        for took in [30, 10, 20] {
            report.record(Duration::from_micros(took), 1);
        }
        assert_eq!(
            (report.percentile_us(0.0), report.percentile_us(0.5), report.percentile_us(1.0)),
            (10, 20, 30)
        );
    }
}
