//! What a run came to, as one line of JSON that a script can read.

use std::fs;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::latency::Latencies;

/// Requests (or images, or blobs) done in a span of time.
#[derive(Debug, Default)]
pub struct Record {
    /// How long each took.
    pub latencies: Latencies,
    /// Bytes of bodies that went either way.
    pub bytes: u64,
    /// The whole span.
    pub elapsed: Duration,
    /// What else there is to say: field and value.
    pub more: Map<String, Value>,
}

impl Record {
    /// Counts one more.
    pub fn count(&mut self, took: Duration, bytes: u64) {
        self.latencies.record(took);
        self.bytes += bytes;
    }

    /// Takes in what another connection did in the same span.
    pub fn join(&mut self, other: &Record) {
        self.latencies.join(&other.latencies);
        self.bytes += other.bytes;
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Record {
        self.more.insert(field.to_owned(), value.into());
        self
    }

    /// The whole as one JSON object.
    pub fn describe(&self) -> Value {
        let mut all = json!({
            "count": self.latencies.count(),
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "client_cpu": cpu_seconds(),
        });
        if let (Value::Object(all), Value::Object(latencies)) = (&mut all, self.latencies.describe()) {
            all.extend(latencies);
            all.extend(self.more.clone());
        }
        all
    }
}

/// The processor time of this process's first thread so far, which is all but nothing of it; none where the kernel does not say.
fn cpu_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_all_it_knows() {
        let mut record = Record::default();
        record.count(Duration::from_micros(10), 5);
        let mut other = Record::default();
        other.count(Duration::from_micros(30), 7);
        record.join(&other);
        record.elapsed = Duration::from_millis(1500);
        let said = record.with("bodies", "copied").describe();
        assert_eq!((&said["count"], &said["bytes"], &said["seconds"]), (&json!(2), &json!(12), &json!(1.5)));
        assert_eq!(said["bodies"], "copied");
        assert!(said["p99_us"].as_f64().is_some_and(|p99| (29.0..31.0).contains(&p99)), "{said}");
    }
}
